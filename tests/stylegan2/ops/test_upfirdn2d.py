from unittest import mock

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from stylegan2.ops.kernels import TYPES
from stylegan2.ops.upfirdn2d import (
    Resampling,
    filter_image,
    outer_filter,
    plain_upfirdn2d,
    prepared,
    upfirdn2d,
    upfirdn2d_by_kernels,
    upsample_image,
)

FORMS = [
    Resampling(),
    Resampling(padding=(1, 1, 1, 1)),
    Resampling(up=2, padding=(2, 1, 2, 1)),
    Resampling(down=2, padding=(1, 1, 1, 1)),
    Resampling(up=3, down=2, padding=(4, 0, 2, 5)),
    Resampling(up=2, padding=(-1, 3, 4, -2)),
]
DTYPES = {torch.float32: 1e-5, torch.float64: 1e-6, torch.float16: 1e-2, torch.bfloat16: 6e-2}


class PlainKernels:
    def upfirdn2d(self, x, f, *, up, down, padding, taps=None):
        return plain_upfirdn2d(x, f, Resampling(up=up, down=down, padding=padding))


def images(dtype=torch.double, layout=torch.contiguous_format):
    torch.manual_seed(0)
    return torch.randn(2, 3, 6, 5).to(dtype=dtype, memory_format=layout)


def lopsided(height=4, width=4):
    torch.manual_seed(1)
    return torch.randn(height, width)


def by_hand(image, f, form):
    """Resample one image (H, W) by the equation."""
    stuffed = np.zeros((image.shape[0] * form.up, image.shape[1] * form.up))
    stuffed[:: form.up, :: form.up] = image
    left, right, top, bottom = form.padding
    padded = np.pad(stuffed, ((max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0))))
    padded = padded[max(-top, 0) : padded.shape[0] - max(-bottom, 0), max(-left, 0) : padded.shape[1] - max(-right, 0)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, f.shape)[:: form.down, :: form.down]
    return (windows * f).sum(axis=(2, 3))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("flip", [False, True])
def test_plain_torch_gives_the_equation(form, flip):
    x, f = images(), lopsided().double()
    expected = by_hand(x[1, 2].numpy(), (f if flip else f.flip(0, 1)).numpy(), form)
    np.testing.assert_allclose(upfirdn2d(x, f, form, flip=flip, gain=4.0)[1, 2], 4 * expected, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("taps", [(4, 4), (3, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_elements_give_plain_torchs_images_in_every_type_and_layout(host_kernels, form, taps, dtype, layout):
    x, f = images(dtype, layout), lopsided(*taps)
    y = upfirdn2d_by_kernels(host_kernels, x, prepared(f, flip=True), form)
    assert y.dtype == dtype
    torch.testing.assert_close(y.double(), plain_upfirdn2d(x.double(), f, form), atol=DTYPES[dtype], rtol=DTYPES[dtype])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("built", [False, True])
def test_gradients_of_both_orders_are_those_of_finite_differences(form, built, host_kernels):
    kernels, f = host_kernels if built else PlainKernels(), prepared(lopsided(4, 3), flip=True)
    x = images()[:1, :2, :, :4].clone().requires_grad_()
    assert gradcheck(lambda x: upfirdn2d_by_kernels(kernels, x, f, form), [x])
    assert gradgradcheck(lambda x: upfirdn2d_by_kernels(kernels, x, f, form), [x])


@pytest.mark.parametrize("form", FORMS)
def test_the_adjoint_is_the_transpose(form):
    f = lopsided().double()
    x = images()
    y = plain_upfirdn2d(x, f, form)
    dy = torch.randn_like(y)
    back = plain_upfirdn2d(dy, f.flip(0, 1), form.adjoint(x.shape[2:], y.shape[2:], f.shape))
    torch.testing.assert_close((dy * y).sum(), (back * x).sum())


def test_channels_last_layout_is_preserved(host_kernels):
    x = images(layout=torch.channels_last)
    y = upfirdn2d_by_kernels(host_kernels, x, prepared(lopsided()), FORMS[2])
    assert y.is_contiguous(memory_format=torch.channels_last)


class CountedKernels:
    """The compiled operations, and the names of the functions that were called."""

    def __init__(self, kernels):
        self.kernels, self.called = kernels, []
        call = kernels._call

        def counted(name, *arguments):
            self.called.append(name)
            call(name, *arguments)

        self.patch = mock.patch.object(kernels, "_call", counted)


@pytest.mark.parametrize(
    "form", [*FORMS[:4], Resampling(up=2, padding=(-1, 3, 4, -2)), Resampling(down=2, padding=(3, -1, 0, 2))]
)
@pytest.mark.parametrize("size", [(1, 2, 5, 6), (2, 19, 11, 35), (1, 17, 40, 70)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_an_outer_product_is_filtered_by_tiles_of_any_size_type_and_layout(host_kernels, form, size, dtype, layout):
    torch.manual_seed(0)
    x = torch.randn(size).to(dtype).contiguous(memory_format=layout)
    f = torch.outer(torch.tensor([0.1, -0.2, 0.3, 0.9]), torch.tensor([0.4, 0.3, 0.2, -0.5]))
    counted = CountedKernels(host_kernels)
    with counted.patch:
        y = upfirdn2d_by_kernels(host_kernels, x, prepared(f, flip=True), form)
    assert counted.called == ["topdis_upfirdn2d_separable"]
    torch.testing.assert_close(y.double(), plain_upfirdn2d(x.double(), f, form), atol=DTYPES[dtype], rtol=DTYPES[dtype])


@pytest.mark.parametrize("form", FORMS[:4])
def test_the_gradient_by_tiles_is_the_transpose(host_kernels, form, layout):
    torch.manual_seed(0)
    x = torch.randn(2, 5, 9, 12).contiguous(memory_format=layout).requires_grad_()
    f = prepared(torch.outer(torch.tensor(LOPSIDED), torch.tensor(LOPSIDED[::-1])))
    y = upfirdn2d_by_kernels(host_kernels, x, f, form)
    dy = torch.randn_like(y)
    ours = torch.autograd.grad(y, x, dy)[0]
    theirs = torch.autograd.grad(plain_upfirdn2d(x, f.kernel, form), x, dy)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_filter_is_prepared_once_and_anew_when_it_changes():
    f = outer_filter(LOPSIDED)
    first = prepared(f, gain=4.0)
    assert prepared(f, gain=4.0) is first
    assert prepared(f, gain=4.0, flip=True) is not first
    assert first.reversed.reversed.kernel.equal(first.kernel)
    torch.testing.assert_close(torch.outer(*map(torch.tensor, first.taps[::-1])), first.kernel)
    f.mul_(2)
    torch.testing.assert_close(prepared(f, gain=4.0).kernel, 2 * first.kernel)


def test_a_filter_that_is_no_outer_product_has_no_taps():
    assert prepared(lopsided()).taps is None
    assert prepared(lopsided(4, 3)).taps is None
    assert prepared(torch.zeros(4, 4)).taps is None


def test_a_failed_launch_is_an_error_with_its_text(host_kernels):
    x = torch.zeros(1, 2, 4, 4)
    with (
        mock.patch.dict(TYPES, {torch.float32: 9}),
        pytest.raises(RuntimeError, match=r"invalid argument .*1, 2, 1, 1"),
    ):
        upfirdn2d_by_kernels(host_kernels, x, prepared(lopsided()), FORMS[0])


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
