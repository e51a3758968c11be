import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from stylegan2.ops.bias_act import GAINS, bias_act, bias_act_by_kernels, plain_bias_act, scaled_bias_act
from stylegan2.ops.kernels import SLOPES, SMOOTH

FORMS = [
    {"act": "linear", "gain": 1.0, "clamp": None},
    {"act": "lrelu", "gain": 2**0.5, "clamp": None},
    {"act": "lrelu", "gain": 2**0.5, "clamp": 0.9},
    {"act": "relu", "gain": 3.0, "clamp": None},
    {"act": "tanh", "gain": 1.0, "clamp": None},
    {"act": "sigmoid", "gain": 2.0, "clamp": 1.5},
    {"act": "elu", "gain": 1.0, "clamp": 0.8},
    {"act": "selu", "gain": 1.0, "clamp": None},
    {"act": "softplus", "gain": 0.7, "clamp": 0.9},
    {"act": "swish", "gain": 2**0.5, "clamp": 0.9},
]
SMOOTH_FORMS = FORMS[4:]
FORMULAS = {
    "linear": lambda u: u,
    "relu": lambda u: u.clamp(min=0),
    "lrelu": lambda u: torch.where(u < 0, 0.2 * u, u),
    "tanh": lambda u: (u.exp() - (-u).exp()) / (u.exp() + (-u).exp()),
    "sigmoid": lambda u: 1 / (1 + (-u).exp()),
    "elu": lambda u: torch.where(u < 0, u.exp() - 1, u),
    "selu": lambda u: 1.05070098 * torch.where(u < 0, 1.67326324 * (u.exp() - 1), u),
    "softplus": lambda u: (1 + u.exp()).log(),
    "swish": lambda u: u / (1 + (-u).exp()),
}
DTYPES = {torch.float32: 1e-6, torch.float64: 1e-12, torch.float16: 2e-3, torch.bfloat16: 2e-2}


class PlainKernels:
    """The compiled operations' promises in plain torch."""

    def bias_act(self, x, bias, *, scale=None, noise=None, **form):
        x = x if scale is None else x * scale[:, :, None, None]
        return plain_bias_act(x if noise is None else x + noise, bias, **form)

    def bias_act_gradient(self, dy, at, order=1, *, act, gain, clamp):
        if act not in SMOOTH:
            inside = torch.ones_like(at) if clamp is None else (at.abs() < clamp).to(at)
            return dy * inside * gain * torch.where(at > 0, 1.0, SLOPES[act])
        with torch.enable_grad():
            u = at.detach().requires_grad_()
            derivative = plain_bias_act(u, None, act=act, gain=gain, clamp=clamp)
            for _ in range(order):
                (derivative,) = torch.autograd.grad(derivative.sum(), u, create_graph=True)
        return dy * derivative.detach()


def images(dtype=torch.double, layout=torch.contiguous_format):
    torch.manual_seed(0)
    return torch.randn(3, 5, 4, 6).to(dtype=dtype, memory_format=layout), torch.randn(5).to(dtype)


@pytest.mark.parametrize("form", FORMS)
def test_plain_torch_gives_the_formula(form):
    x, bias = images()
    expected = FORMULAS[form["act"]](x + bias[:, None, None]) * form["gain"]
    expected = expected if form["clamp"] is None else expected.clamp(-form["clamp"], form["clamp"])
    torch.testing.assert_close(bias_act(x, bias, **form), expected)


@pytest.mark.parametrize("form", FORMS)
def test_plain_torch_in_place_gives_what_it_gives_where_gradients_are_kept(form):
    x, bias = images()
    scale, noise = scales_and_noise(torch.double, per_sample=False)
    expected = PlainKernels().bias_act(x, bias, scale=scale, noise=noise, **form)
    torch.testing.assert_close(scaled_bias_act(x, scale, bias, noise, **form), expected)
    with torch.no_grad():
        torch.testing.assert_close(scaled_bias_act(x, scale, bias, noise, **form), expected)


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


@pytest.mark.parametrize("form", SMOOTH_FORMS)
def test_the_elements_give_plain_torchs_derivatives_of_both_orders_far_from_zero(host_kernels, form):
    form = {**form, "clamp": None}
    far = torch.tensor([0.1, -0.1, 0.5, -0.5, 10, -10, 30, -30, 90, -90, 200, -200, 5000, -5000.0])
    results = []
    for kernels, dtype in ((host_kernels, torch.float32), (PlainKernels(), torch.float64)):
        x = far.to(dtype).reshape(1, -1).requires_grad_()
        y = bias_act_by_kernels(kernels, x, None, **form)
        (dx,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        results.append((y, dx, *torch.autograd.grad(dx.sum(), x)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=1e-6, rtol=1e-6)


def test_third_derivatives_are_refused_in_one_line(host_kernels):
    x = torch.zeros(1, 1, dtype=torch.double, requires_grad=True)
    slope = bias_act_by_kernels(host_kernels, x, None, act="tanh", gain=1.0, clamp=None)
    for _ in range(2):
        (slope,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="third derivatives of tanh"):
        torch.autograd.grad(slope.sum(), x)


def test_every_activation_has_a_form_here():
    assert {form["act"] for form in FORMS} == set(GAINS) == set(FORMULAS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_clamp_that_half_precision_rounds_still_stops_the_gradient(host_kernels, dtype):
    x = torch.full((1, 1, 1, 1), 1000.0, dtype=dtype, requires_grad=True)
    y = bias_act_by_kernels(host_kernels, x, None, act="lrelu", gain=2**0.5, clamp=256 * 2**0.5)
    assert torch.autograd.grad(y, x)[0] == 0


def test_nan_is_preserved(host_kernels):
    x = torch.full((1, 1, 1, 1), float("nan"))
    assert bias_act_by_kernels(host_kernels, x, None, act="lrelu", gain=1.0, clamp=1.0).isnan()


def test_channels_last_layout_is_preserved(host_kernels):
    x, bias = images(layout=torch.channels_last)
    x.requires_grad_()
    y = bias_act_by_kernels(host_kernels, x, bias, act="lrelu", gain=1.0, clamp=None)
    (dx,) = torch.autograd.grad(y.sum(), x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert dx.is_contiguous(memory_format=torch.channels_last)


def test_inputs_without_pixels_are_accepted(host_kernels):
    x, bias = torch.randn(4, 5), torch.randn(5)
    form = {"act": "lrelu", "gain": 1.0, "clamp": None}
    torch.testing.assert_close(bias_act_by_kernels(host_kernels, x, bias, **form), plain_bias_act(x, bias, **form))


def test_an_empty_batch_is_accepted(host_kernels):
    empty = torch.empty(0, 5, 4, 4)
    assert bias_act_by_kernels(host_kernels, empty, None, act="lrelu", gain=1.0, clamp=None).shape == empty.shape


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


@pytest.mark.parametrize("form", [FORMS[2], FORMS[-1]])
@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("built", [False, True])
def test_gradients_by_scale_and_noise_of_both_orders_are_those_of_finite_differences(
    built, per_sample, form, host_kernels
):
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
        return bias_act_by_kernels(kernels, *given, **form)

    assert gradcheck(work, inputs)
    assert gradgradcheck(work, inputs)
