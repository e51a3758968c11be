import pytest
import torch
from torch import nn

from ganspace_topdis.errors import InvalidArgumentError
from vae.networks.initial_weights import draw_initial_weights


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (nn.Linear(400, 300), torch.Size([64, 400])),
        (nn.Conv2d(32, 32, 4, stride=2, padding=1), torch.Size([16, 32, 32, 32])),
        (nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1), torch.Size([16, 32, 16, 16])),
        (nn.ConvTranspose2d(128, 64, 4), torch.Size([64, 128, 1, 1])),
    ],
)
def test_kaiming_weights_keep_the_second_moment_through_relu(layer, inputs):
    torch.manual_seed(0)
    draw_initial_weights(layer, "kaiming")
    x = torch.randn(inputs).relu()
    out = layer(x)
    inner = out if out.ndim == 2 or layer.stride == (1, 1) else out[:, :, 2:-2, 2:-2]  # borders see fewer inputs
    assert inner.square().mean().item() == pytest.approx(2 * x.square().mean().item(), rel=0.1)


def test_normal_weights_have_the_published_deviation_and_no_bias():
    layer = nn.Linear(500, 500)
    draw_initial_weights(layer, "normal")
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not layer.bias.any()


def test_an_unknown_law_is_refused():
    with pytest.raises(InvalidArgumentError, match="glorot"):
        draw_initial_weights(nn.Linear(2, 2), "glorot")
