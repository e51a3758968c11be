"""Autoencoders: sizes and values of the architectures, initial weights, the fast transposed convolution."""

import math
from itertools import pairwise
from typing import get_args

import pytest
import torch
from torch import nn

from ganspace_topdis.errors import InvalidArgumentError
from vae.networks import NETWORKS, build_networks
from vae.networks.autoencoder import compile_model
from vae.networks.layers import InitialWeights, TransposeToFew, draw_initial_weights


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("image_shape", [(64, 64, 1), (64, 64, 3), (16, 16, 3), (128, 128, 1)])
def test_every_network_maps_images_to_codes_and_back(name, image_shape):
    side, _, channels = image_shape
    model = build_networks(name, image_shape=image_shape, num_latents=7, width=0.1)
    mean, logvar = model.encode(torch.rand(2, channels, side, side))
    assert mean.shape == logvar.shape == (2, 7)
    assert model.decode(mean).shape == (2, channels, side, side)


def test_the_published_layers_have_the_published_numbers_of_parameters():
    def sizes(name, channels=1):
        model = build_networks(name, image_shape=(64, 64, channels), num_latents=10)
        return [
            tuple(module.weight.shape)
            for module in model.modules()
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear | torch.nn.ConvTranspose2d)
        ]

    assert sizes("locatello")[:6] == [
        (32, 1, 4, 4),
        (32, 32, 4, 4),
        (64, 32, 2, 2),
        (64, 64, 2, 2),
        (256, 1024),
        (20, 256),
    ]
    assert sizes("locatello")[6:] == [
        (256, 10),
        (1024, 256),
        (64, 64, 4, 4),
        (64, 32, 4, 4),
        (32, 32, 4, 4),
        (32, 1, 4, 4),
    ]
    assert sizes("narrow")[4] == (128, 64, 4, 4)
    assert sizes("narrow", channels=3)[4] == (256, 64, 4, 4)
    assert sizes("burgess")[4:7] == [(256, 512), (256, 256), (20, 256)]
    assert sizes("fc") == [(1200, 4096), (1200, 1200), (20, 1200), (1200, 10), (1200, 1200), (1200, 1200), (4096, 1200)]
    assert sizes("wide")[3:5] == [(256, 128, 4, 4), (512, 256, 4, 4)]


def test_images_that_a_convolutional_network_cannot_halve_are_refused_with_a_way_out():
    with pytest.raises(InvalidArgumentError, match="choose fc as `network`"):
        build_networks("narrow", image_shape=(60, 60, 1), num_latents=10)
    assert build_networks("fc", image_shape=(12, 10, 3), num_latents=2, width=0.01).encode(torch.rand(1, 3, 12, 10))


def test_an_unknown_network_is_refused():
    with pytest.raises(InvalidArgumentError, match="resnet"):
        build_networks("resnet", image_shape=(64, 64, 1), num_latents=10)


def model(network="narrow"):
    torch.manual_seed(0)
    return build_networks(network, image_shape=(16, 16, 1), num_latents=3, width=0.25)


def test_the_draw_follows_mean_and_variance():
    autoencoder = model()
    images = torch.rand(1, 1, 16, 16).expand(4000, -1, -1, -1)
    posterior = autoencoder.posterior(images, torch.Generator().manual_seed(0))
    assert torch.allclose(posterior.sample.mean(0), posterior.mean[0], atol=0.1)
    assert torch.allclose(posterior.sample.var(0), posterior.logvar[0].exp(), rtol=0.1)


def test_the_same_generator_state_gives_the_same_draw():
    images = torch.rand(4, 1, 16, 16)
    autoencoder = model()
    first, second = (autoencoder.posterior(images, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first.sample, second.sample)


def test_a_latent_that_the_first_layer_does_not_read_has_weight_zero():
    for network in ("narrow", "fc", "locatello"):
        autoencoder = model(network)
        first = next(m for m in autoencoder.decoder.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d))
        with torch.no_grad():
            first.weight[:, 1] = 0
            first.weight[:, 2] = 2
        weights = autoencoder.latent_weights()
        assert weights.shape == (3,)
        assert weights[1] == 0
        assert torch.isclose(weights[2], 2 * torch.tensor(float(len(first.weight))).sqrt())


def test_reconstructions_are_probabilities():
    images = model()(torch.rand(2, 1, 16, 16))
    assert images.shape == (2, 1, 16, 16)
    assert 0 < images.min() <= images.max() < 1


def test_compiling_changes_neither_weights_nor_their_names():
    model = build_networks("narrow", image_shape=(16, 16, 1), num_latents=2, width=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    compile_model(model, device=torch.device("cpu"), precision="bf16")
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert model.decode(torch.zeros(2, 2)).dtype == torch.bfloat16


def test_cuda_graphs_need_a_cuda_device():
    model = build_networks("fc", image_shape=(8, 8, 1), num_latents=2, width=0.01)
    with pytest.raises(InvalidArgumentError, match="needs a CUDA device"):
        compile_model(model, device=torch.device("cpu"), precision="float32", compiled="cuda-graphs")
    with pytest.raises(InvalidArgumentError, match="none, default, cuda-graphs"):
        compile_model(model, device=torch.device("cpu"), precision="float32", compiled="fast")


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


LAYERS = [  # a layer, the inputs that reach one of its outputs, and torch's fan_in and fan_out
    (nn.Linear(400, 300), 400, 400, 300),
    (nn.Conv2d(32, 48, 4, stride=2, padding=1), 32 * 16, 32 * 16, 48 * 16),
    (nn.ConvTranspose2d(32, 48, 4, stride=2, padding=1), 32 * 16 / 4, 48 * 16, 32 * 16),
    (nn.ConvTranspose2d(128, 64, 4), 128, 64 * 16, 128 * 16),
]


@pytest.mark.parametrize("initialization", get_args(InitialWeights))
@pytest.mark.parametrize(("layer", "inputs", "fan_in", "fan_out"), LAYERS)
def test_initial_weights_have_the_deviation_of_their_formula(initialization, layer, inputs, fan_in, fan_out):
    if initialization.endswith("-partial"):
        transposed = isinstance(layer, nn.ConvTranspose2d)
        initialization = "torch" if transposed else initialization.removesuffix("-partial")
    torch.manual_seed(0)
    layer.reset_parameters()
    draw_initial_weights(layer, initialization)
    std = {
        "kaiming": math.sqrt(2 / inputs),
        "normal": 0.02,
        "torch": 1 / math.sqrt(3 * fan_in),
        "kaiming-uniform": math.sqrt(2 / fan_in),
        "glorot-uniform": math.sqrt(2 / (fan_in + fan_out)),
    }[initialization]
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
    uniform = initialization not in ("kaiming", "normal")
    assert (layer.weight.abs().max() <= 1.0001 * math.sqrt(3) * std) == uniform
    if initialization in ("torch", "kaiming-uniform"):
        assert layer.bias.std().item() == pytest.approx(1 / math.sqrt(3 * fan_in), rel=0.2)
    else:
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


@pytest.mark.parametrize("initialization", ["kaiming-partial", "normal-partial"])
def test_partial_initial_weights_leave_transposed_convolutions_as_torch_draws_them(initialization):
    torch.manual_seed(0)
    model = build_networks("wide", image_shape=(64, 64, 1), num_latents=10, initial_weights=initialization)
    last = model.decoder[-1]
    assert last.weight.std().item() == pytest.approx(1 / math.sqrt(3 * 16), rel=0.1)  # uniform up to 1 / sqrt(16)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.in_channels * math.prod(layer.kernel_size)
            std = 0.02 if initialization == "normal-partial" else math.sqrt(2 / fan_in)
            assert layer.weight.std().item() == pytest.approx(std, rel=0.12)
            assert not layer.bias.any()


def num_convolved(kernel, *channels):
    return sum(kernel**2 * ins * outs + outs for ins, outs in pairwise(channels))


def num_dense(*sizes):
    return num_convolved(1, *sizes)


def num_mirrored(hidden, *channels):
    """Convolutions down to `hidden` at one pixel, ten latents, and the same way back."""
    way = (*channels, hidden)
    return num_convolved(4, *way) + num_dense(hidden, 20) + num_dense(10, hidden) + num_convolved(4, *way[::-1])


def num_parameters(network, colors=1):
    """The number of parameters for images of 64 px and ten latents, from the layers of the published networks."""
    narrow = (colors, 32, 32, 64, 64)
    dense = num_dense(1024, 256, 20) + num_dense(10, 256, 1024) + num_convolved(4, *narrow[::-1])
    return {
        "narrow": num_mirrored(128 if colors == 1 else 256, *narrow),
        "narrow-256": num_mirrored(256, *narrow),
        "wide": num_mirrored(512, colors, 32, 64, 128, 256),
        "burgess": num_convolved(4, colors, 32, 32, 32, 32)
        + num_dense(512, 256, 256, 20)
        + num_dense(10, 256, 256, 512)
        + num_convolved(4, 32, 32, 32, 32, colors),
        "locatello": num_convolved(4, colors, 32, 32) + num_convolved(2, 32, 64, 64) + dense,
        "locatello-k4": num_convolved(4, *narrow) + dense,
        "fc": num_dense(4096 * colors, 1200, 1200, 20) + num_dense(10, 1200, 1200, 1200, 4096 * colors),
    }[network]


@pytest.mark.parametrize("colors", [1, 3])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_has_as_many_parameters_as_the_layers_of_its_source(network, colors):
    with torch.device("meta"):
        model = build_networks(network, image_shape=(64, 64, colors), num_latents=10)
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters(network, colors)
