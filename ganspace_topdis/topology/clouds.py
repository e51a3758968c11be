"""What every divergence asks of its two clouds: as many points in one as in the other, as rows of floats."""

import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology.engine import MAX_POINTS

__all__ = ["as_point_pairs"]


def as_point_pairs(x: Tensor, y: Tensor, *, batched: bool = False) -> tuple[Tensor, Tensor]:
    """Clouds (N, ...) as points (N, D) in one floating dtype, or with `batched` (B, N, ...) as (B, N, D).

    float64 stays; every other dtype becomes float32.

    Raises:
        InvalidArgumentError: no dense tensors, unequal numbers of points or of clouds, fewer than two points, no
            coordinates, different devices.
    """
    for name, cloud in (("x", x), ("y", y)):
        if not isinstance(cloud, Tensor):
            raise InvalidArgumentError(
                f"{name} is a {type(cloud).__name__}, but must be a torch tensor: use torch.from_numpy for arrays"
            )
        if cloud.layout != torch.strided or cloud.is_quantized:
            kind = "quantized" if cloud.is_quantized else "sparse"
            raise InvalidArgumentError(f"{name} is a {kind} tensor, but must be dense: pass {name}.to_dense()")
        if cloud.is_complex() or cloud.ndim < 1 + batched:
            raise InvalidArgumentError(
                f"{name} has shape {tuple(cloud.shape)} and dtype {cloud.dtype}, but must be real points "
                f"{'(B, N, ...)' if batched else '(N, ...)'}"
            )
    if x.shape[: 1 + batched] != y.shape[: 1 + batched]:
        raise InvalidArgumentError(
            f"x has shape {tuple(x.shape)} and y has {tuple(y.shape)}: point i of x corresponds to point i of y, "
            "so both need the same number of points"
        )
    num_points = x.shape[int(batched)]
    if not 2 <= num_points <= MAX_POINTS:
        raise InvalidArgumentError(f"x and y have {num_points} points each: pass between 2 and {MAX_POINTS}")
    for name, cloud in (("x", x), ("y", y)):
        if 0 in cloud.shape:
            raise InvalidArgumentError(
                f"{name} has shape {tuple(cloud.shape)}, which holds no numbers: points need at least one coordinate"
            )
    if x.device != y.device:
        raise InvalidArgumentError(f"x is on {x.device} but y is on {y.device}: move them to one device")
    dtype = torch.float64 if torch.float64 in (x.dtype, y.dtype) else torch.float32
    leading = x.shape[: 1 + batched]
    return x.reshape(*leading, -1).to(dtype), y.reshape(*leading, -1).to(dtype)
