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
        A tensor or list as `gradient`; equal to it if the inner product is not negative or `reference` is zero.

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
    against = _inner(parts, others).clamp(max=0)
    square = _inner(others, others)
    factor = torch.where(square > 0, against / torch.where(square > 0, square, 1.0), 0.0)
    result = [part - factor * other for part, other in zip(parts, others, strict=True)]
    return result[0] if isinstance(gradient, Tensor) else result


def _inner(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()
