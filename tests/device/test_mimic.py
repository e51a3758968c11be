"""The second device of these tests: it refuses what a GPU refuses, and computes what the CPU computes."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.devices import choose_device, free_memory_bytes

REFUSED = {
    "numpy": lambda x, y: x.numpy(),
    "add": lambda x, y: x + y,
    "product": lambda x, y: x @ y,
    "cat": lambda x, y: torch.cat([x, y]),
    "stack": lambda x, y: torch.stack([y, x]),
    "where": lambda x, y: torch.where(y > 0, x, x),
    "mask of the host": lambda x, y: x.masked_fill(y > 0, 1.0),
    "mask of the device": lambda x, y: y[x > 0],
    "index_select": lambda x, y: x.index_select(0, torch.tensor([1])),
    "gather": lambda x, y: x.gather(0, torch.tensor([1])),
    "linear": lambda x, y: F.linear(x, torch.ones(2, 3)),
    "convolution": lambda x, y: F.conv1d(x[None, None], y[None, None]),
    "generator of the host": lambda x, y: torch.randn(3, device="mimic", generator=torch.Generator()),
    "generator of the device": lambda x, y: torch.randn(3, generator=torch.Generator("mimic")),
    "least squares": lambda x, y: torch.linalg.lstsq(x[:, None], y[:, None]),
    "solve": lambda x, y: torch.linalg.solve(torch.eye(3), x),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_device_refuses_what_cuda_refuses(mimic, name):
    x, y = torch.ones(3, device="mimic"), torch.ones(3)
    with pytest.raises((RuntimeError, TypeError, IndexError)):
        REFUSED[name](x, y)


def test_the_device_takes_numbers_and_indices_of_the_host(mimic):
    x = torch.arange(3.0, device="mimic")
    assert (x + torch.tensor(1.0)).tolist() == [1, 2, 3]
    assert x[torch.tensor([2, 0])].tolist() == [2, 0]
    x[torch.tensor([1])] = 5.0
    assert x.cpu().tolist() == [0, 5, 2]


COMPUTED = {
    "eigenvalues": torch.linalg.eigvalsh,
    "qr": lambda x: torch.linalg.qr(x)[0],
    "exponential": torch.matrix_exp,
    "sort": lambda x: x.sort(dim=0).values,
    "distances": lambda x: torch.cdist(x, x),
    "selection": lambda x: x.kthvalue(3).values,
    "mask": lambda x: x[x > 0],
    "nonzero": torch.nonzero,
    "windows": lambda x: x.unfold(0, 2, 2),
    "view": lambda x: x.t()[1:, ::2].contiguous(),
    "covariance": torch.cov,
    "quantile": lambda x: torch.pdist(x).quantile(0.5),
    "resized": lambda x: torch.empty(0, dtype=x.dtype, device=x.device).resize_(3).fill_(2),
    "written": lambda x: torch.add(x, 1, out=torch.empty_like(x)),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_the_device_computes_the_values_of_the_cpu(mimic, name):
    x = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    found = COMPUTED[name](x.to("mimic"))
    assert found.device.type == "mimic"
    assert torch.equal(found.cpu(), COMPUTED[name](x))


def test_a_network_trains_as_on_the_cpu(mimic):
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.GELU(),
        nn.ConvTranspose2d(8, 4, 4, 2, 1),
    ]
    here = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 8 * 8, 5), nn.LayerNorm(5))
    there = copy.deepcopy(here).to("mimic")
    x = torch.randn(2, 3, 4, 4)
    for network, images in ((here, x), (there, x.to("mimic"))):
        optimizer = torch.optim.Adam(network.parameters(), 1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(network(images), torch.tensor([0, 1], device=images.device)).backward()
            optimizer.step()
    for name, tensor in here.state_dict().items():
        torch.testing.assert_close(there.state_dict()[name].cpu(), tensor, atol=1e-6, rtol=1e-5)


def test_the_random_stream_of_the_device_is_its_own(mimic):
    torch.manual_seed(1)
    first = torch.randn(3, device="mimic").cpu()
    torch.randn(7)
    second = torch.randn(3, device="mimic").cpu()
    torch.manual_seed(1)
    assert torch.equal(torch.randn(3, device="mimic").cpu(), first)
    assert torch.equal(torch.randn(3, device="mimic").cpu(), second)


def test_autocast_lowers_products_and_keeps_exponentials(mimic):
    x = torch.randn(4, 4, device="mimic")
    with torch.autocast("mimic", dtype=torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        assert (x @ x).exp().dtype == torch.float32


def test_launches_waits_and_uploads_are_counted(mimic):
    x = torch.ones(4).to("mimic")
    (x + 1).sum().item()
    assert {**mimic.counts(), "allocated": 0} == {"launches": 2, "waits": 1, "uploads": 1, "allocated": 0}
    x[x > 0].cpu()
    assert mimic.counts()["waits"] == 3


def test_float64_is_refused_on_request(mimic):
    x = torch.ones(3, device="mimic")
    with mimic.without_float64():
        for attempt in (x.double, lambda: torch.ones(3, dtype=torch.float64).to("mimic")):
            with pytest.raises(TypeError, match="float64"):
                attempt()
    assert x.double().dtype == torch.float64


def test_memory_beyond_the_limit_is_refused(mimic):
    before = mimic.counts()["allocated"]
    with mimic.memory_limit(1 << 20):
        x = torch.zeros(1 << 17, device="mimic")
        with pytest.raises(torch.OutOfMemoryError):
            torch.cat([x, x])
        assert mimic.counts()["allocated"] == before + (1 << 19)
    del x
    assert mimic.counts()["allocated"] == before


def test_the_device_is_chosen_by_its_name(mimic):
    assert choose_device("mimic") == torch.device("mimic")
    assert free_memory_bytes("mimic") is None
    with pytest.raises(InvalidArgumentError, match="'mimic:1', but this torch has 1 mimic devices"):
        choose_device("mimic:1")
