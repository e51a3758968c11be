import numpy as np
import pytest
import torch
from torch.nn import functional as F

from stylegan2 import Generator
from stylegan2.ops import modulated_conv
from stylegan2.ops.winograd import _INPUT, _KERNEL, _OUTPUT, winograd_convolve


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def layer(batch, channels, outputs, height, width):
    """An image, a kernel and styles."""
    return (
        torch.randn(batch, channels, height, width),
        torch.randn(outputs, channels, 3, 3),
        torch.rand(batch, channels),
    )


def test_six_products_give_four_outputs_of_a_filter_of_three_taps():
    d, w = np.random.default_rng(0).normal(size=(2, 6))
    products = (_KERNEL.numpy() @ w[:3]) * (_INPUT.numpy() @ d)
    np.testing.assert_allclose(_OUTPUT.numpy() @ products, np.correlate(d, w[:3], "valid"), atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 3, 5, 4, 4), (3, 5, 7, 12, 20), (2, 8, 4, 64, 128), (300, 2, 2, 4, 4)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_equals_the_ordinary_convolution_for_every_way_of_cutting_pieces(shape, layout):
    x, weight, styles = layer(*shape)
    expected = F.conv2d((x * styles[:, :, None, None]).double(), weight.double(), padding=1)
    result = winograd_convolve(x.to(memory_format=layout), weight, styles)
    assert (result - expected).abs().max() < 2e-5 * expected.std()


def test_the_result_lies_channels_last():
    assert winograd_convolve(*layer(2, 3, 5, 8, 8)).is_contiguous(memory_format=torch.channels_last)


def test_it_is_taken_for_large_layers_without_gradients_and_for_no_others(monkeypatch):
    calls = []
    monkeypatch.setattr(modulated_conv, "winograd_convolve", lambda x, *_: calls.append(x.shape))
    large, small = layer(1, 64, 64, 64, 64), layer(1, 64, 64, 8, 8)
    modulated_conv.convolve(*large)
    assert not calls
    with torch.no_grad():
        modulated_conv.convolve(*small)
        assert not calls
        modulated_conv.convolve(*large)
    assert calls == [(1, 64, 64, 64)]


def test_images_of_a_wide_generator_are_the_same_with_and_without_gradients():
    generator = Generator(img_resolution=64, channel_base=4096, z_dim=8, w_dim=8, num_mapping_layers=1).eval()
    w = generator.mapping(torch.randn(2, 8)).detach()
    with torch.no_grad():
        quick = generator.synthesis(w)
    torch.testing.assert_close(quick, generator.synthesis(w), atol=1e-4, rtol=0)
