import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from stylegan2.ops.bias_act import bias_act, bias_act_by_kernels, plain_bias_act

FORMS = [
    {"slope": 1.0, "gain": 1.0, "clamp": None},
    {"slope": 0.2, "gain": 2**0.5, "clamp": None},
    {"slope": 0.2, "gain": 2**0.5, "clamp": 0.9},
    {"slope": 0.0, "gain": 3.0, "clamp": None},
]
DTYPES = {torch.float32: 1e-6, torch.float64: 1e-12, torch.float16: 2e-3, torch.bfloat16: 2e-2}


class PlainKernels:
    """The compiled operations' promises in plain torch."""

    def bias_act(self, x, bias, *, scale=None, noise=None, **form):
        x = x if scale is None else x * scale[:, :, None, None]
        return plain_bias_act(x if noise is None else x + noise, bias, **form)

    def bias_act_gradient(self, dy, y, *, slope, gain, clamp):
        inside = torch.ones_like(y) if clamp is None else (y.abs() < clamp).to(y)
        return dy * inside * gain * torch.where(y > 0, 1.0, slope)


def images(dtype=torch.double, layout=torch.contiguous_format):
    torch.manual_seed(0)
    return torch.randn(3, 5, 4, 6).to(dtype=dtype, memory_format=layout), torch.randn(5).to(dtype)


@pytest.mark.parametrize("form", FORMS)
def test_plain_torch_gives_the_formula(form):
    x, bias = images()
    u = x + bias[:, None, None]
    expected = torch.where(u < 0, form["slope"] * u, u) * form["gain"]
    expected = expected if form["clamp"] is None else expected.clamp(-form["clamp"], form["clamp"])
    torch.testing.assert_close(bias_act(x, bias, **form), expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("built", [False, True])
def test_gradients_of_both_orders_are_those_of_finite_differences(form, built, host_kernels):
    kernels = host_kernels if built else PlainKernels()
    x, bias = images()
    inputs = [x[:2, :, :2, :2].clone().requires_grad_(), bias.requires_grad_()]
    assert gradcheck(lambda x, b: bias_act_by_kernels(kernels, x, b, **form), inputs)
    assert gradgradcheck(lambda x, b: bias_act_by_kernels(kernels, x, b, **form), inputs)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_elements_give_plain_torchs_values_and_gradients_in_every_type_and_layout(
    host_kernels, form, dtype, layout
):
    results = []
    for operation in (lambda *given: bias_act_by_kernels(host_kernels, *given, **form), plain_in_double(form)):
        x, bias = (tensor.requires_grad_() for tensor in images(dtype, layout))
        y = operation(x, bias)
        results.append((y, *torch.autograd.grad(y, (x, bias), torch.sin(y.detach() * 7))))
    tolerance = {"atol": 40 * DTYPES[dtype], "rtol": 10 * DTYPES[dtype]}
    for ours, theirs in zip(*results, strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.double(), theirs.double(), **tolerance)


def plain_in_double(form):
    def operation(x, bias):
        return plain_bias_act(x.double(), bias.double(), **form).to(x.dtype)

    return operation


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_clamp_that_half_precision_rounds_still_stops_the_gradient(host_kernels, dtype):
    x = torch.full((1, 1, 1, 1), 1000.0, dtype=dtype, requires_grad=True)
    y = bias_act_by_kernels(host_kernels, x, None, slope=0.2, gain=2**0.5, clamp=256 * 2**0.5)
    assert torch.autograd.grad(y, x)[0] == 0


def test_nan_is_preserved(host_kernels):
    x = torch.full((1, 1, 1, 1), float("nan"))
    assert bias_act_by_kernels(host_kernels, x, None, slope=0.2, gain=1.0, clamp=1.0).isnan()


def test_channels_last_layout_is_preserved(host_kernels):
    x, bias = images(layout=torch.channels_last)
    x.requires_grad_()
    y = bias_act_by_kernels(host_kernels, x, bias, slope=0.2, gain=1.0, clamp=None)
    (dx,) = torch.autograd.grad(y.sum(), x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert dx.is_contiguous(memory_format=torch.channels_last)


def test_inputs_without_pixels_are_accepted(host_kernels):
    x, bias = torch.randn(4, 5), torch.randn(5)
    form = {"slope": 0.2, "gain": 1.0, "clamp": None}
    torch.testing.assert_close(bias_act_by_kernels(host_kernels, x, bias, **form), plain_bias_act(x, bias, **form))


def test_an_empty_batch_is_accepted(host_kernels):
    empty = torch.empty(0, 5, 4, 4)
    assert bias_act_by_kernels(host_kernels, empty, None, slope=0.2, gain=1.0, clamp=None).shape == empty.shape


def scales_and_noise(dtype, shape=(3, 5, 4, 6), *, per_sample):
    torch.manual_seed(1)
    scale = torch.randn(shape[:2]).to(dtype)
    return scale, torch.randn(shape[0], 1, *shape[2:]).to(dtype) if per_sample else torch.randn(shape[2:]).to(dtype)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_scale_and_noise_are_fused_with_the_activation_in_every_type_and_layout(
    host_kernels, form, per_sample, dtype, layout
):
    for channels, width in ((5, 6), (8, 8), (8, 3), (3, 16)):  # packs of 16 bytes, and single elements
        shape = (3, channels, 4, width)
        torch.manual_seed(0)
        x, bias = torch.randn(shape).to(dtype=dtype, memory_format=layout), torch.randn(channels).to(dtype)
        scale, noise = scales_and_noise(dtype, shape, per_sample=per_sample)
        y = bias_act_by_kernels(host_kernels, x, bias, scale, noise, **form)
        wide = PlainKernels().bias_act(x.double(), bias.double(), scale=scale.double(), noise=noise.double(), **form)
        torch.testing.assert_close(y.double(), wide, atol=40 * DTYPES[dtype], rtol=10 * DTYPES[dtype])
        assert (y.dtype, y.stride()) == (dtype, x.stride())


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("built", [False, True])
def test_gradients_by_scale_and_noise_of_both_orders_are_those_of_finite_differences(built, per_sample, host_kernels):
    kernels = host_kernels if built else PlainKernels()
    shape = (2, 3, 2, 2)
    torch.manual_seed(0)
    inputs = [
        torch.randn(shape).double(),
        torch.randn(3).double(),
        *scales_and_noise(torch.double, shape, per_sample=per_sample),
    ]
    inputs = [each.requires_grad_() for each in inputs]

    def work(*given):
        return bias_act_by_kernels(kernels, *given, **FORMS[2])

    assert gradcheck(work, inputs)
    assert gradgradcheck(work, inputs)
