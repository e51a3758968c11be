import pytest
import torch
from torch.nn import functional as F

from stylegan2.ops.fir import outer_filter
from stylegan2.ops.modulated_conv import convolve, convolve_up, demodulation

TAPS = (0.125, 0.375, 0.375, 0.125)


@pytest.fixture
def layer():
    torch.manual_seed(0)
    double = {"dtype": torch.double}
    return torch.randn(3, 4, 6, 6, **double), torch.randn(5, 4, 3, 3, **double), torch.randn(3, 4, **double)


def kernels_of_samples(weight, styles):
    """One kernel a sample: (B, O, I, 3, 3)."""
    return weight[None] * styles[:, None, :, None, None]


def test_scaling_activations_equals_a_kernel_a_sample(layer):
    x, weight, styles = layer
    kernels = kernels_of_samples(weight, styles)
    expected = torch.cat([F.conv2d(image[None], kernel, padding=1) for image, kernel in zip(x, kernels, strict=True)])
    torch.testing.assert_close(convolve(x, weight, styles), expected)


def test_doubling_equals_a_transposed_convolution_and_a_filter(layer):
    x, weight, styles = layer
    kernels = kernels_of_samples(weight, styles).transpose(1, 2)
    doubled = torch.cat([F.conv_transpose2d(x[[b]], kernels[b], stride=2) for b in range(3)])
    fir = (4 * outer_filter(TAPS)).double().expand(5, 1, 4, 4)
    expected = F.conv2d(F.pad(doubled, (1, 1, 1, 1)), fir, groups=5)
    torch.testing.assert_close(convolve_up(x, weight, styles, outer_filter(TAPS)), expected)


def test_demodulation_gives_every_output_channel_unit_expected_variance(layer):
    _, weight, styles = layer
    norms = kernels_of_samples(weight, styles).square().sum(dim=(2, 3, 4))
    torch.testing.assert_close(demodulation(weight, styles) * norms.sqrt(), torch.ones(3, 5, dtype=torch.double))
