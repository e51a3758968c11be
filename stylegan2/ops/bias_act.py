"""Scale, noise, bias, activation, gain and clamp in one pass: y = clamp(gain f(u)), u = s x + n + b.

f is one of the nine activations of NVIDIA's networks (https://github.com/NVlabs/stylegan2-ada-pytorch,
torch_utils/ops/bias_act.py). Three are leaky(u) = u for u >= 0 and slope u below: a slope of 1 is the identity, 0 is
ReLU. Their derivative is gain times 1 or slope, and 0 where y is clamped, so it depends on y alone. It is constant
almost everywhere, so the gradient of the gradient is the same operation, to any order. The others have a second
derivative; theirs depend on u, which is computed again, and go to order two.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from stylegan2.ops.build import kernels_for
from stylegan2.ops.kernels import SLOPES, SMOOTH, Kernels

__all__ = ["GAINS", "activate", "bias_act", "bias_act_by_kernels", "plain_bias_act", "scaled_bias_act"]

GAINS = {**dict.fromkeys((*SLOPES, *SMOOTH), 1.0), **dict.fromkeys(("relu", "lrelu", "swish"), math.sqrt(2.0))}
"""The activations by name, each with the gain that NVIDIA's networks give it."""

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "elu": F.elu,
    "selu": F.selu,
    "softplus": F.softplus,
    "swish": F.silu,
}


def bias_act(
    x: Tensor, bias: Tensor | None = None, *, act: str = "linear", gain: float = 1.0, clamp: float | None = None
) -> Tensor:
    """Compute clamp(gain f(x + bias)), with the compiled operation on a GPU and plain torch elsewhere.

    Args:
        x: (B, C, ...).
        bias: (C,), of any floating type.
        act: the name of f, in `GAINS`.
        gain: at least 0.
        clamp: the largest absolute value of the result; None: no clamp.
    """
    kernels = kernels_for(x)
    if kernels is None:
        return plain_bias_act(x, bias, act=act, gain=gain, clamp=clamp)
    return bias_act_by_kernels(kernels, x, bias, act=act, gain=gain, clamp=clamp)


def plain_bias_act(x: Tensor, bias: Tensor | None, *, act: str, gain: float, clamp: float | None) -> Tensor:
    """Compute `bias_act` in plain torch."""
    if bias is not None:
        x = x + bias.to(x.dtype).reshape(1, -1, *[1] * (x.ndim - 2))
    x = activate(x, act) * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def activate(u: Tensor, act: str) -> Tensor:
    """Compute f(u) in plain torch. See `GAINS` for the names."""
    return F.leaky_relu(u, SLOPES[act]) if act in SLOPES else _FUNCTIONS[act](u)


def scaled_bias_act(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    noise: Tensor | None,
    *,
    act: str,
    gain: float,
    clamp: float | None,
) -> Tensor:
    """Compute clamp(gain f(scale x + noise + bias)).

    Without gradients, x is overwritten: on a CPU, fresh memory costs more than the arithmetic.

    Args:
        x: (B, C, H, W).
        scale: (B, C).
        bias: (C,).
        noise: (H, W) or (B, 1, H, W); None: no noise.
        act: the name of f, in `GAINS`.
        gain: at least 0.
        clamp: the largest absolute value of the result; None: no clamp.
    """
    kernels = kernels_for(x)
    if kernels is not None:
        return bias_act_by_kernels(kernels, x, bias, scale, noise, act=act, gain=gain, clamp=clamp)
    out = None if torch.is_grad_enabled() or torch.compiler.is_compiling() else x
    before = gain if act in SLOPES else 1.0  # leaky ReLU is homogeneous: scaling first saves a pass
    scale = (scale * before).to(x.dtype)[:, :, None, None]
    x = torch.addcmul((bias * before).to(x.dtype)[:, None, None], x, scale, out=out)
    if noise is not None:
        x = torch.add(x, (noise * before).to(x.dtype), out=out)
    x = F.leaky_relu_(x, SLOPES[act]) if act in SLOPES else activate(x, act) * gain
    return x if clamp is None else torch.clamp(x, -clamp, clamp, out=out)


def bias_act_by_kernels(
    kernels: Kernels,
    x: Tensor,
    bias: Tensor | None,
    scale: Tensor | None = None,
    noise: Tensor | None = None,
    **form: Any,
) -> Tensor:
    """Compute `scaled_bias_act` with the compiled operation, in one pass, with gradients.

    Scale, noise and bias may each be left out; `form` is act, gain and clamp.
    """
    result: Tensor = _BiasAct.apply(x, bias, scale, noise, kernels, form)
    return result


class _BiasAct(torch.autograd.Function):
    """y(x, b, s, n). With g = dy gain f': dx = s g, ds = sum over pixels of x g, dn and db sums of g.

    For leaky f, saves y, which the next layer saves anyway, and x only where the scale gets a gradient. Otherwise saves
    the arguments, from which the gradient computes u, with its dependence on them.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        bias: Tensor | None,
        scale: Tensor | None,
        noise: Tensor | None,
        kernels: Kernels,
        form: dict[str, Any],
    ) -> Tensor:
        y = kernels.bias_act(x, bias, scale=scale, noise=noise, **form)
        ctx.smooth = form["act"] in SMOOTH
        saved = (x, bias, noise) if ctx.smooth else (x if ctx.needs_input_grad[2] else None, None, None)
        ctx.save_for_backward(None if ctx.smooth else y, scale, *saved)
        ctx.kernels, ctx.form = kernels, form
        ctx.bias_type = None if bias is None else bias.dtype
        ctx.noise_facts = None if noise is None else (noise.ndim, noise.dtype)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        y, scale, x, bias, noise = ctx.saved_tensors
        of_x, of_bias, of_scale, of_noise = ctx.needs_input_grad[:4]
        if ctx.smooth:
            at = bias_act_by_kernels(ctx.kernels, x, bias, scale, noise, act="linear", gain=1.0, clamp=None)
        else:
            at = y.detach()
        g = _Derivative.apply(dy, at, 1, ctx.kernels, ctx.form)
        dx = db = ds = dn = None
        if of_x:
            dx = g if scale is None else g * scale.to(g.dtype)[:, :, None, None]
        if of_bias:
            db = g.sum(dim=[axis for axis in range(g.ndim) if axis != 1]).to(ctx.bias_type)
        if of_scale:
            ds = (g * x).sum(dim=(2, 3), dtype=scale.dtype)
        if of_noise:
            num_axes, dtype = ctx.noise_facts
            dn = g.sum(dim=1, keepdim=True, dtype=dtype) if num_axes == 4 else g.sum(dim=(0, 1), dtype=dtype)
        return dx, db, ds, dn, None, None


class _Derivative(torch.autograd.Function):
    """dy gain f^(k)(u) for order k. Linear in dy with a diagonal matrix, so it is its own adjoint.

    Its gradient by u is that of order k + 1. `at` is u, or y for leaky f, and gets no gradient then.
    """

    @staticmethod
    def forward(ctx: Any, dy: Tensor, at: Tensor, order: int, kernels: Kernels, form: dict[str, Any]) -> Tensor:
        if order > 2:
            raise RuntimeError(f"third derivatives of {form['act']} are not compiled; set TOPDIS_CUDA_OPS=off")
        ctx.save_for_backward(dy if ctx.needs_input_grad[1] else None, at)
        ctx.order, ctx.kernels, ctx.form = order, kernels, form
        return kernels.bias_act_gradient(dy, at, order, **form)

    @staticmethod
    def backward(ctx: Any, ddx: Tensor) -> tuple[Tensor | None, ...]:
        dy, at = ctx.saved_tensors
        of_dy, of_at = ctx.needs_input_grad[:2]
        rest = ctx.kernels, ctx.form
        by_dy = _Derivative.apply(ddx, at, ctx.order, *rest) if of_dy else None
        by_at = _Derivative.apply(ddx * dy, at, ctx.order + 1, *rest) if of_at else None
        return by_dy, by_at, None, None, None
