"""Gradient orthogonalization: the TopDis loss must not undo the reconstruction (Balabin et al. 2024, section 4.3).

If the two gradients conflict, <g, r> < 0, the component of g along r is removed: g <- g - <g, r> / <r, r> r. Both are
gradients with respect to all parameters, as one flat vector.
"""

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["orthogonalize_gradient"]


@overload
def orthogonalize_gradient(gradient: Tensor, reference: Tensor) -> Tensor: ...
@overload
def orthogonalize_gradient(gradient: Sequence[Tensor], reference: Sequence[Tensor]) -> list[Tensor]: ...


def orthogonalize_gradient(
    gradient: Tensor | Sequence[Tensor], reference: Tensor | Sequence[Tensor]
) -> Tensor | list[Tensor]:
    """Remove the component of `gradient` that opposes `reference`, if there is one.

    Args:
        gradient: a tensor, or a sequence with one tensor per parameter, which is treated as one vector.
        reference: as `gradient`, of the same shapes.

    Returns:
        A tensor or list as `gradient`; equal to it if the inner product is not negative or `reference` is zero. On a
        device other than the CPU also where the square of `reference`, in single precision or better, is out of range,
        since finding that out would stall the device.

    Raises:
        InvalidArgumentError: the shapes differ.

    Example:
        >>> orthogonalize_gradient(torch.tensor([1.0, -2.0]), torch.tensor([0.0, 1.0]))
        tensor([1., 0.])
    """
    parts = [gradient] if isinstance(gradient, Tensor) else list(gradient)
    others = [reference] if isinstance(reference, Tensor) else list(reference)
    if [part.shape for part in parts] != [other.shape for other in others]:
        raise InvalidArgumentError(
            f"gradient and reference must have equal shapes, got {[tuple(part.shape) for part in parts]} "
            f"and {[tuple(other.shape) for other in others]}"
        )
    if not parts:
        return []
    if isinstance(gradient, Tensor):
        return _orthogonal(gradient.flatten(), others[0].flatten()).view(gradient.shape)
    whole = _orthogonal(*(torch.cat([part.flatten() for part in listed]) for listed in (parts, others)))
    pieces = whole.split([part.numel() for part in parts])
    return [piece.view(part.shape).to(part) for piece, part in zip(pieces, parts, strict=True)]


def _orthogonal(vector: Tensor, reference: Tensor) -> Tensor:
    dtype = vector.dtype
    wide = torch.promote_types(torch.promote_types(dtype, reference.dtype), torch.float32)
    vector, reference = vector.to(wide), reference.to(wide)
    square, product = reference.dot(reference), vector.dot(reference)
    if square.device.type == "cpu" and not (torch.finfo(wide).tiny <= square < torch.inf and product.isfinite()):
        largest = reference.abs().max() if len(reference) else square
        if 0 < largest < torch.inf:
            reference = reference / largest
            square, product = reference.dot(reference), vector.dot(reference)
    factor = product.clamp(max=0) / square
    return torch.addcmul(vector, factor.nan_to_num_(0.0, 0.0, 0.0), reference, value=-1).to(dtype)
