"""Scale, noise, bias, leaky ReLU, gain and clamp in one pass: y = clamp(gain leaky(s x + n + b)).

leaky(u) is u for u >= 0 and slope u below: a slope of 1 is the identity, 0 is ReLU. The derivative is gain times 1 or
slope, and 0 where y is clamped, so it depends on y alone. It is constant almost everywhere, so the gradient of the
gradient is the same operation, to any order.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from stylegan2.ops.build import kernels_for
from stylegan2.ops.kernels import Kernels

__all__ = ["bias_act", "bias_act_by_kernels", "plain_bias_act", "scaled_bias_act"]


def bias_act(
    x: Tensor, bias: Tensor | None = None, *, slope: float = 1.0, gain: float = 1.0, clamp: float | None = None
) -> Tensor:
    """Compute clamp(gain leaky(x + bias)), with the compiled operation on a GPU and plain torch elsewhere.

    Args:
        x: (B, C, ...).
        bias: (C,), of any floating type.
        slope: of the leaky ReLU below zero.
        gain: at least 0.
        clamp: the largest absolute value of the result; None: no clamp.
    """
    kernels = kernels_for(x)
    if kernels is None:
        return plain_bias_act(x, bias, slope=slope, gain=gain, clamp=clamp)
    return bias_act_by_kernels(kernels, x, bias, slope=slope, gain=gain, clamp=clamp)


def plain_bias_act(x: Tensor, bias: Tensor | None, *, slope: float, gain: float, clamp: float | None) -> Tensor:
    """Compute `bias_act` in plain torch."""
    if bias is not None:
        x = x + bias.to(x.dtype).reshape(1, -1, *[1] * (x.ndim - 2))
    x = F.leaky_relu(x, slope) * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def scaled_bias_act(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    noise: Tensor | None,
    *,
    slope: float,
    gain: float,
    clamp: float | None,
) -> Tensor:
    """Compute clamp(gain leaky(scale x + noise + bias)).

    Without gradients, x is overwritten: on a CPU, fresh memory costs more than the arithmetic.

    Args:
        x: (B, C, H, W).
        scale: (B, C).
        bias: (C,).
        noise: (H, W) or (B, 1, H, W); None: no noise.
        slope: of the leaky ReLU below zero.
        gain: at least 0.
        clamp: the largest absolute value of the result; None: no clamp.
    """
    kernels = kernels_for(x)
    if kernels is not None:
        return bias_act_by_kernels(kernels, x, bias, scale, noise, slope=slope, gain=gain, clamp=clamp)
    out = None if torch.is_grad_enabled() or torch.compiler.is_compiling() else x
    scale = (scale * gain).to(x.dtype)[:, :, None, None]  # leaky ReLU is homogeneous: scaling first saves a pass
    x = torch.addcmul((bias * gain).to(x.dtype)[:, None, None], x, scale, out=out)
    if noise is not None:
        x = torch.add(x, (noise * gain).to(x.dtype), out=out)
    x = F.leaky_relu_(x, slope)
    return x if clamp is None else torch.clamp(x, -clamp, clamp, out=out)


def bias_act_by_kernels(
    kernels: Kernels,
    x: Tensor,
    bias: Tensor | None,
    scale: Tensor | None = None,
    noise: Tensor | None = None,
    **form: Any,
) -> Tensor:
    """Compute `scaled_bias_act` with the compiled operation, in one pass, differentiable to any order.

    Scale, noise and bias may each be left out; `form` is slope, gain and clamp.
    """
    result: Tensor = _BiasAct.apply(x, bias, scale, noise, kernels, form)
    return result


class _BiasAct(torch.autograd.Function):
    """y(x, b, s, n). With g = dy gain leaky': dx = s g, ds = sum over pixels of x g, dn and db sums of g.

    Saves y, which the next layer saves anyway, and x only where the scale gets a gradient.
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
        ctx.save_for_backward(y, x if ctx.needs_input_grad[2] else None, scale)
        ctx.kernels, ctx.form = kernels, form
        ctx.bias_type = None if bias is None else bias.dtype
        ctx.noise_facts = None if noise is None else (noise.ndim, noise.dtype)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        y, x, scale = ctx.saved_tensors
        of_x, of_bias, of_scale, of_noise = ctx.needs_input_grad[:4]
        g = _BiasActGradient.apply(dy, y.detach(), ctx.kernels, ctx.form)
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


class _BiasActGradient(torch.autograd.Function):
    """dx = dy gain leaky'. Linear in dy with a diagonal matrix, so it is its own adjoint."""

    @staticmethod
    def forward(ctx: Any, dy: Tensor, y: Tensor, kernels: Kernels, form: dict[str, Any]) -> Tensor:
        ctx.save_for_backward(y)
        ctx.kernels, ctx.form = kernels, form
        return kernels.bias_act_gradient(dy, y, **form)

    @staticmethod
    def backward(ctx: Any, ddx: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        return _BiasActGradient.apply(ddx, y, ctx.kernels, ctx.form), None, None, None
