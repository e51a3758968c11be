import pytest
import torch
from torch import nn

from ganspace_topdis.errors import InvalidArgumentError
from vae.networks.layers import TransposeToFew, draw_initial_weights


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


def test_an_unknown_initialization_is_refused():
    with pytest.raises(InvalidArgumentError, match="glorot"):
        draw_initial_weights(nn.Linear(2, 2), "glorot")


@pytest.fixture(params=[(1, 4, 2, 1), (3, 4, 2, 1), (2, 4, 1, 0)], ids=str)
def layers(request):
    outs, kernel, stride, padding = request.param
    torch.manual_seed(0)
    ours = TransposeToFew(5, outs, kernel, stride=stride, padding=padding)
    plain = nn.ConvTranspose2d(5, outs, kernel, stride=stride, padding=padding)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_the_plain_layer(layers, memory_format):
    x = torch.randn(3, 5, 6, 7).contiguous(memory_format=memory_format).requires_grad_()
    outputs = [layer(x) for layer in layers]
    upstream = torch.randn_like(outputs[0])
    gradients = [
        torch.autograd.grad(output, [x, *layer.parameters()], upstream)
        for output, layer in zip(outputs, layers, strict=True)
    ]
    assert torch.allclose(*outputs, atol=1e-5)
    assert all(torch.allclose(own, other, atol=1e-4) for own, other in zip(*gradients, strict=True))


def test_the_gradient_is_that_of_the_values():
    layer = TransposeToFew(2, 1, 4, stride=2, padding=1).double()
    assert torch.autograd.gradcheck(layer, torch.randn(1, 2, 2, 3, dtype=torch.double, requires_grad=True))


def test_models_that_are_stacked_give_what_each_gives(layers):
    ours, _ = layers
    x = torch.randn(2, 3, 5, 4, 4)
    stacked = torch.vmap(ours)(x)
    assert torch.allclose(stacked, torch.stack([ours(part) for part in x]), atol=1e-5)


def test_autocast_leaves_it_to_the_library(layers):
    ours, plain = layers
    x = torch.randn(2, 5, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ours(x), plain(x))
