"""Losses between a cloud and its shifted copy: RTD, and losses without topology that may stand in its place.

x, y are (N, F), row k of y being row k of x after the shift. The control losses divide distances by s, the 0.9
quantile of the distances within x (no gradient), as RTD does, so that one weight suits all:

    l2       mean_k |x_k - y_k|^2 / s^2
    chamfer  1/2 mean_k min_l |x_k - y_l| / s + 1/2 mean_l min_k |x_k - y_l| / s
    mmd      mean k(x, x') + mean k(y, y') - 2 mean k(x, y),  k(a, b) = exp(-|a - b|^2 / (2 h^2)), h the median
             distance within x (Gretton et al. 2012, the biased estimate; no gradient through h)
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ganspace_topdis.topology import RTDLoss, rtd_lite
from vae.topdis.settings import CloudLoss

__all__ = ["chamfer_loss", "cloud_loss", "l2_loss", "mmd_loss"]

_SMALLEST = 1e-5
"""Stands for the scale of a cloud whose points coincide."""


def cloud_loss(kind: CloudLoss, p: float = 1.0) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss called `kind`, of clouds (N, ...) and (N, ...); `p` is the power of the bars' lengths of "rtd"."""
    if kind == "rtd":
        return RTDLoss(p=p)
    return {"rtd-lite": _lite, "l2": l2_loss, "chamfer": chamfer_loss, "mmd": mmd_loss}[kind]


def _lite(x: Tensor, y: Tensor) -> Tensor:
    return rtd_lite(x, y, variant="minmax")


def l2_loss(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared distance between corresponding points, over the squared scale of x."""
    x, y = x.flatten(1), y.flatten(1)
    return (x - y).square().sum(dim=1).mean() / _scale(x, 0.9) ** 2


def chamfer_loss(x: Tensor, y: Tensor) -> Tensor:
    """Mean distance to the nearest point of the other cloud, over the scale of x; correspondence does not count."""
    x, y = x.flatten(1), y.flatten(1)
    distances = torch.cdist(x, y)
    return 0.5 * (distances.amin(dim=0).mean() + distances.amin(dim=1).mean()) / _scale(x, 0.9)


def mmd_loss(x: Tensor, y: Tensor) -> Tensor:
    """Squared maximum mean discrepancy with a Gaussian kernel; correspondence does not count."""
    x, y = x.flatten(1), y.flatten(1)
    width = 2 * _scale(x, 0.5) ** 2

    def similarity(a: Tensor, b: Tensor) -> Tensor:
        return (-torch.cdist(a, b).square() / width).exp().mean()

    return similarity(x, x) + similarity(y, y) - 2 * similarity(x, y)


def _scale(x: Tensor, quantile: float) -> Tensor:
    """A quantile of the distances within a cloud, without gradient."""
    return torch.pdist(x.detach()).quantile(quantile).clamp(min=_SMALLEST)
