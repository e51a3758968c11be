import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from stylegan2 import Generator
from stylegan2.ops import modulated_conv, weight_cache
from stylegan2.ops.modulated_conv import (
    _INPUT,
    _KERNEL,
    _OUTPUT,
    convolve,
    convolve_up,
    demodulation,
    winograd_convolve,
)
from stylegan2.ops.upfirdn2d import outer_filter
from stylegan2.ops.weight_cache import cached, caches_weight, frozen_weights

TAPS = (0.125, 0.375, 0.375, 0.125)


@pytest.fixture
def double_layer():
    double = {"dtype": torch.double}
    return torch.randn(3, 4, 6, 6, **double), torch.randn(5, 4, 3, 3, **double), torch.randn(3, 4, **double)


def kernels_of_samples(weight, styles):
    """One kernel per sample: (B, O, I, 3, 3)."""
    return weight[None] * styles[:, None, :, None, None]


def test_scaling_activations_equals_one_kernel_per_sample(double_layer):
    x, weight, styles = double_layer
    kernels = kernels_of_samples(weight, styles)
    expected = torch.cat([F.conv2d(image[None], kernel, padding=1) for image, kernel in zip(x, kernels, strict=True)])
    torch.testing.assert_close(convolve(x, weight, styles), expected)


def test_upsampling_equals_a_transposed_convolution_and_a_filter(double_layer):
    x, weight, styles = double_layer
    kernels = kernels_of_samples(weight, styles).transpose(1, 2)
    doubled = torch.cat([F.conv_transpose2d(x[[b]], kernels[b], stride=2) for b in range(3)])
    fir = (4 * outer_filter(TAPS)).double().expand(5, 1, 4, 4)
    expected = F.conv2d(F.pad(doubled, (1, 1, 1, 1)), fir, groups=5)
    torch.testing.assert_close(convolve_up(x, weight, styles, outer_filter(TAPS)), expected)


def test_demodulation_gives_each_output_channel_unit_expected_variance(double_layer):
    _, weight, styles = double_layer
    norms = kernels_of_samples(weight, styles).square().sum(dim=(2, 3, 4))
    torch.testing.assert_close(demodulation(weight, styles) * norms.sqrt(), torch.ones(3, 5, dtype=torch.double))


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
def test_winograd_equals_the_direct_convolution_for_every_tiling(shape, layout):
    x, weight, styles = layer(*shape)
    expected = F.conv2d((x * styles[:, :, None, None]).double(), weight.double(), padding=1)
    result = winograd_convolve(x.to(memory_format=layout), weight, styles)
    assert (result - expected).abs().max() < 2e-5 * expected.std()


def test_the_result_of_winograd_has_channels_last_layout():
    assert winograd_convolve(*layer(2, 3, 5, 8, 8)).is_contiguous(memory_format=torch.channels_last)


def test_winograd_is_used_only_for_large_layers_whose_weights_get_no_gradient(monkeypatch):
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


def test_gradients_of_winograd_pass_gradcheck_in_both_orders():
    x, weight, styles = (part.double() for part in layer(2, 3, 2, 4, 8))
    inputs = x.requires_grad_(True), styles.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x, styles: winograd_convolve(x, weight, styles), inputs)
    assert torch.autograd.gradgradcheck(lambda x, styles: winograd_convolve(x, weight, styles), inputs)


def test_kernels_of_frozen_weights_are_transformed_once_per_orientation(monkeypatch):
    made = []
    transformed = modulated_conv._transform_kernels
    monkeypatch.setattr(modulated_conv, "_transform_kernels", lambda weight: made.append(0) or transformed(weight))
    x, weight, styles = layer(2, 3, 5, 8, 8)
    x.requires_grad_(True)
    with frozen_weights():
        for _ in range(2):
            y = winograd_convolve(x, weight, styles)
            torch.autograd.grad(y.square().sum(), x)
    assert len(made) == 2


class Casts(TorchDispatchMode):
    """Collects the addresses of the tensors that are cast."""

    def __init__(self):
        super().__init__()
        self.addresses = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._to_copy.default:
            self.addresses.add(args[0].data_ptr())
        return func(*args, **(kwargs or {}))


def test_autocast_casts_frozen_weights_once_and_changes_no_image():
    generator = Generator(img_resolution=16, channel_base=128, z_dim=8, w_dim=8, num_mapping_layers=2).eval()
    generator.requires_grad_(False)
    weights = {weight.data_ptr() for name, weight in generator.named_parameters() if name.endswith("weight")}
    weights -= {block.torgb.weight.data_ptr() for block in generator.synthesis.modules() if hasattr(block, "torgb")}
    z = torch.randn(2, 8)
    with torch.autocast("cpu", torch.bfloat16):
        with Casts() as anew:
            expected = generator(z)
        with frozen_weights():
            images = generator(z)
            with Casts() as again:
                assert torch.equal(generator(z), images)
    assert len(anew.addresses & weights) > 10
    assert not again.addresses & weights
    torch.testing.assert_close(images, expected, atol=0, rtol=0)


def test_a_wide_generator_gives_the_images_and_gradients_of_the_direct_convolution(monkeypatch):
    generator = Generator(img_resolution=64, channel_base=4096, z_dim=8, w_dim=8, num_mapping_layers=1).eval()
    w = generator.requires_grad_(False).mapping(torch.randn(2, 8)).requires_grad_(True)

    def there_and_back():
        images = generator.synthesis(w)
        return images.detach(), torch.autograd.grad(images.square().mean(), w)[0]

    images, gradient = there_and_back()
    monkeypatch.setattr(modulated_conv, "_prefers_winograd", lambda *_: False)
    expected, gradient_expected = there_and_back()
    assert not torch.equal(images, expected)
    torch.testing.assert_close(images, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(gradient, gradient_expected, atol=1e-4 * float(gradient_expected.abs().max()), rtol=0)


@pytest.fixture
def made():
    return []


def make(made):
    """A derived value; each computation is recorded in `made`."""
    return lambda weight: made.append(0) or 2 * weight


def test_values_of_frozen_weights_are_computed_once(made):
    weight = torch.ones(3)
    with frozen_weights():
        assert all(torch.equal(cached(weight, "twice", make(made)), 2 * weight) for _ in range(3))
        cached(weight, "another", make(made))
        cached(weight[:2], "twice", make(made))
    assert len(made) == 3


def test_weights_may_change_before_between_and_after(made):
    weight = torch.ones(3)
    for factor in (1, 2, 3):
        weight.fill_(factor)
        assert torch.equal(cached(weight, "twice", make(made)), 2 * weight)
        with frozen_weights(), frozen_weights():
            assert torch.equal(cached(weight, "twice", make(made)), 2 * weight)
    assert weight_cache._store is None


def test_values_of_weights_with_gradients_are_not_cached(made):
    weight = torch.ones(3, requires_grad=True)
    with frozen_weights():
        assert not caches_weight(weight)
        cached(weight, "twice", make(made))
        assert cached(weight, "twice", make(made)).requires_grad
    assert len(made) == 2


def test_the_cache_is_dropped_after_an_error():
    def fail(weight):
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"), frozen_weights():
        cached(torch.ones(3), "twice", fail)
    assert weight_cache._store is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_cached_generator_gives_the_same_images_and_the_second_call_caches_nothing(dtype):
    torch.manual_seed(0)
    generator = Generator(img_resolution=16, channel_base=256, z_dim=8, w_dim=8, num_mapping_layers=1)
    generator.eval().requires_grad_(False)
    for block in map(generator.synthesis.block, generator.synthesis.resolutions):
        block._precision = lambda _: dtype  # half precision is for GPUs, but a CPU can compute it
    w = generator.mapping(torch.randn(2, 8))
    with torch.no_grad():
        expected = generator.synthesis(w)
        with frozen_weights():
            torch.testing.assert_close(generator.synthesis(w), expected)
            count = len(weight_cache._store)
            torch.testing.assert_close(generator.synthesis(w), expected)
            assert len(weight_cache._store) == count
