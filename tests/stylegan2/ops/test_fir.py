import numpy as np
import pytest
import torch

from stylegan2.ops.fir import filter_image, outer_filter, upsample_image

LOPSIDED = (0.1, 0.2, 0.3, 0.4)
BINOMIAL = (0.125, 0.375, 0.375, 0.125)


def filtered_by_hand(image, taps, before, after):
    """A true convolution of a (H, W) array, zeros put around it."""
    padded = np.pad(image, ((before, after), (before, after)))
    for axis in (0, 1):
        padded = np.apply_along_axis(np.convolve, axis, padded, taps, "valid")
    return padded


@pytest.mark.parametrize("taps", [LOPSIDED, BINOMIAL])
def test_filtering_is_a_true_convolution_with_one_row_of_zeros_around(taps):
    image = np.random.default_rng(0).normal(size=(7, 5))
    result = filter_image(torch.from_numpy(image)[None, None], outer_filter(taps), gain=4.0)[0, 0]
    np.testing.assert_allclose(result, 4 * filtered_by_hand(image, taps, 1, 1), atol=1e-6)


@pytest.mark.parametrize("taps", [LOPSIDED, BINOMIAL])
def test_upsampling_stuffs_zeros_and_filters_with_gain_four(taps):
    image = np.random.default_rng(0).normal(size=(4, 6))
    stuffed = np.zeros((8, 12))
    stuffed[::2, ::2] = image
    result = upsample_image(torch.from_numpy(image)[None, None], outer_filter(taps))[0, 0]
    np.testing.assert_allclose(result, 4 * filtered_by_hand(stuffed, taps, 2, 1), atol=1e-6)


def test_every_channel_is_filtered_for_itself():
    images = torch.randn(2, 3, 8, 8, dtype=torch.double)
    together = filter_image(images, outer_filter(BINOMIAL))
    apart = torch.cat([filter_image(images[:, [channel]], outer_filter(BINOMIAL)) for channel in range(3)], dim=1)
    torch.testing.assert_close(together, apart)


def test_the_filter_is_the_outer_product_of_its_taps():
    assert outer_filter(BINOMIAL).sum() == 1
    torch.testing.assert_close(outer_filter(LOPSIDED), torch.outer(torch.tensor(LOPSIDED), torch.tensor(LOPSIDED)))
