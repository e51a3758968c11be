import numpy as np
import pytest
import torch
from torch.nn import functional as F

from stylegan2 import Generator
from stylegan2.ops import modulated_conv, winograd
from stylegan2.ops.kept import weights_stay
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


def test_it_is_taken_for_large_layers_whose_weights_get_no_gradient_and_for_no_others(monkeypatch):
    calls = []
    monkeypatch.setattr(modulated_conv, "winograd_convolve", lambda x, *_: calls.append(x.shape))
    large, small = layer(1, 64, 64, 64, 64), layer(1, 64, 64, 8, 8)
    modulated_conv.convolve(large[0], large[1].requires_grad_(True), large[2])
    modulated_conv.convolve(*small)
    assert not calls
    with torch.no_grad():
        modulated_conv.convolve(*large)
    modulated_conv.convolve(large[0].requires_grad_(True), large[1].detach(), large[2])
    assert calls == [(1, 64, 64, 64)] * 2


def test_its_gradients_pass_gradcheck_in_both_orders():
    x, weight, styles = (part.double() for part in layer(2, 3, 2, 4, 8))
    inputs = x.requires_grad_(True), styles.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x, styles: winograd_convolve(x, weight, styles), inputs)
    assert torch.autograd.gradgradcheck(lambda x, styles: winograd_convolve(x, weight, styles), inputs)


def test_kernels_of_weights_that_stay_are_made_once_for_each_way(monkeypatch):
    made = []
    transformed = winograd._transformed
    monkeypatch.setattr(winograd, "_transformed", lambda weight: made.append(0) or transformed(weight))
    x, weight, styles = layer(2, 3, 5, 8, 8)
    x.requires_grad_(True)
    with weights_stay():
        for _ in range(2):
            y = winograd_convolve(x, weight, styles)
            torch.autograd.grad(y.square().sum(), x)
    assert len(made) == 2


def test_a_wide_generator_gives_the_images_and_gradients_of_the_ordinary_convolution(monkeypatch):
    generator = Generator(img_resolution=64, channel_base=4096, z_dim=8, w_dim=8, num_mapping_layers=1).eval()
    w = generator.requires_grad_(False).mapping(torch.randn(2, 8)).requires_grad_(True)

    def there_and_back():
        images = generator.synthesis(w)
        return images.detach(), torch.autograd.grad(images.square().mean(), w)[0]

    images, gradient = there_and_back()
    monkeypatch.setattr(modulated_conv, "_pays_off", lambda *_: False)
    expected, gradient_expected = there_and_back()
    assert not torch.equal(images, expected)
    torch.testing.assert_close(images, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(gradient, gradient_expected, atol=1e-4 * float(gradient_expected.abs().max()), rtol=0)
