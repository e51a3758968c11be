"""The Gaussian-preserving shift of one latent coordinate (Balabin et al. 2024, section 4.1).

A coordinate z distributed as N(rho, sigma^2), with distribution function F, moves to z' with F(z') = F(z) + C:

    z' = rho + sigma * Phi^-1(Phi((z - rho) / sigma) + C),

which preserves the distribution. Rows whose F(z) + C is outside (0, 1) have no image and are dropped from both clouds:
one eighth of the rows at the paper's |C| = 1/8. Deviation: rows with F(z) + C within a margin of 0 or 1, by default
0.01, are dropped too; the paper and its released code have none. Amounts add up wherever both shifts are defined.
"""

from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["MARGIN", "gaussian_shift", "is_index", "shift_values"]

MARGIN = 0.01
"""Distance of F(z) + C to 0 and 1 below which a row is dropped. The slope dz'/dz = phi(z) / phi(z') diverges there: at
C = 1/8 it is 7 at this margin, but 60 at 0.001 and 40,000 at 1e-6, and a single such row destabilizes a training."""


def gaussian_shift(
    z: Tensor,
    index: int,
    amount: float,
    *,
    mean: float | Tensor | None = None,
    std: float | Tensor | None = None,
    margin: float = MARGIN,
) -> tuple[Tensor, Tensor]:
    """Shift coordinate `index` of the codes `z` by `amount` in probability; differentiable once.

    Args:
        z: codes, (N, D).
        index: the coordinate to shift, -D <= index < D.
        amount: C of the formula, -1 < C < 1; the paper uses 1/8 with a random sign.
        mean: rho; the mean of the batch, with its gradient, by default.
        std: sigma; the unbiased standard deviation of the batch, with its gradient, by default.
        margin: distance of F(z) + C to 0 and 1 from which a row is kept, 0 <= margin < 1/2.

    Returns:
        `shifted` (M, D), the rows that have an image, and `kept` (N,), a boolean mask: row k of `shifted`
        belongs to row k of `z[kept]`. M may be 0. A constant coordinate keeps its rows and does not move.

    Raises:
        InvalidArgumentError: `z` is not floating-point (N, D), `index`, `amount` or `margin` is out of range, or
            `std` < 0.

    Example:
        >>> z = torch.tensor([[0.0, 5.0], [3.0, 6.0]])
        >>> shifted, kept = gaussian_shift(z, 0, 0.125, mean=0.0, std=1.0)
        >>> kept.tolist(), shifted.shape
        ([True, False], torch.Size([1, 2]))
    """
    if not isinstance(z, Tensor) or z.ndim != 2 or not z.is_floating_point():
        got = f"{z.dtype} {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
        raise InvalidArgumentError(f"z must be a floating-point tensor (N, D), got {got}")
    if not is_index(index, -z.shape[1], z.shape[1]):
        raise InvalidArgumentError(f"index is {index}, allowed are {-z.shape[1]} to {z.shape[1] - 1}")
    moved, kept = shift_values(z[:, index], amount, mean=mean, std=std, margin=margin)
    here = torch.arange(z.shape[1], device=z.device) == index % z.shape[1]
    return torch.where(here, moved[:, None], z)[kept], kept


def is_index(value: Any, low: int, high: int) -> bool:
    """Whether `value` is an integer, and no truth value, of low <= value < high."""
    return isinstance(value, Integral) and not isinstance(value, bool) and low <= int(value) < high


def shift_values(
    values: Tensor,
    amount: float | Tensor,
    *,
    mean: float | Tensor | None = None,
    std: float | Tensor | None = None,
    margin: float = MARGIN,
) -> tuple[Tensor, Tensor]:
    """Shift one coordinate, given as its values (N,), or K coordinates (N, K) by amounts (K,); differentiable once.

    See `gaussian_shift` for the arguments; `mean` and `std` are for one coordinate.

    Returns:
        `moved` and the boolean mask `kept`, both of the shape of `values`. Where `kept` is false, `moved` is the
        unshifted value, without a gradient of the shift.
    """
    known = not isinstance(amount, Tensor) or amount.device.type == "cpu"  # elsewhere, asking would wait for the device
    if known and not (amount.abs().max() < 1 if isinstance(amount, Tensor) else -1 < amount < 1):
        raise InvalidArgumentError(f"amount is {amount}, allowed is -1 < amount < 1; the paper's is 1/8")
    if not 0 <= margin < 0.5:
        raise InvalidArgumentError(f"margin is {margin}, allowed is 0 <= margin < 0.5; the paper's is 0")
    if values.dtype in (torch.float16, torch.bfloat16):  # ndtri has no half precision on a CPU
        moved, kept = shift_values(values.float(), amount, mean=mean, std=std, margin=margin)
        return moved.to(values.dtype), kept
    if mean is None and std is None and len(values) > 1:
        moved, kept = _Shift.apply(values, amount, margin)
        return moved, kept
    if mean is None:
        mean = values.mean()
    if std is None:
        std = _std(values)
    elif bool(torch.as_tensor(std < 0).any()):
        raise InvalidArgumentError(f"std is {float(torch.as_tensor(std).min())}, allowed is std >= 0")
    scale = torch.as_tensor(std, dtype=values.dtype, device=values.device)
    center = torch.as_tensor(mean, dtype=values.dtype, device=values.device)
    constant = scale <= 8 * torch.finfo(values.dtype).eps * center.abs()
    normal = (values - center) / torch.where(constant, 1.0, scale)
    probability = torch.special.ndtr(normal) + amount
    movable = (probability > margin) & (probability < 1 - margin) & ~constant
    inside = torch.where(movable, probability, 0.5)  # keeps infinities out of the backward pass
    return torch.where(movable, center + scale * torch.special.ndtri(inside), values), movable | constant


class _Shift(torch.autograd.Function):
    """The shift with the batch's mean rho and deviation sigma, in few operations, for values (N,) or (N, K).

    With u = (z - rho) / sigma, t = Phi^-1(Phi(u) + C) and the slope a = phi(u) / phi(t), z' = rho + sigma t has

        dz'_k = a_k dz_k + (1 - a_k) drho + (t_k - a_k u_k) dsigma,
        drho = mean_i dz_i,   dsigma = sum_i u_i dz_i / (N - 1).

    A row that does not move has t = u and a = 1.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, amount: float | Tensor, margin: float) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(values, dim=0)
        std = variance.sqrt()
        constant = std <= 8 * torch.finfo(values.dtype).eps * mean.abs()
        normal = (values - mean) / std.masked_fill(constant, 1.0)
        probability = torch.special.ndtr(normal) + amount
        movable = ((probability - 0.5).abs() < 0.5 - margin) > constant
        target = torch.where(movable, torch.special.ndtri(probability), normal)
        ctx.save_for_backward(normal, target)
        kept = movable | constant
        ctx.mark_non_differentiable(kept)
        return torch.where(movable, torch.addcmul(mean, std, target), values), kept

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor, None, None]:
        normal, target = ctx.saved_tensors
        direct = grad * (0.5 * (target - normal) * (target + normal)).exp()
        by_mean = (grad - direct).mean(dim=0)
        by_std = (grad * target - direct * normal).sum(dim=0) / (len(normal) - 1)
        return torch.addcmul(direct + by_mean, normal, by_std), None, None


def _std(values: Tensor) -> Tensor:
    """The unbiased standard deviation; its gradient is zero, not NaN, where it is zero."""
    if len(values) < 2:
        return values.new_zeros(())
    variance = values.var()
    return torch.where(variance > 0, variance, 1.0).sqrt() * (variance > 0)
