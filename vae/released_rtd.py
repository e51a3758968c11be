"""The TopDis loss as its release computes it, for arms of a study that must be the published training.

With A, B the clouds' normalized distances (see `ganspace_topdis.topology.rtd`), the corrected loss is half the sum of
the bar lengths of four cross-barcodes. The release (github.com/nikitabalabin/TopDis, commit 2ca9d2e, rtd.py) deviates
in two ways:

    max variant  as in the corrected loss
    min variant  births are read from min(A, B), but deaths from the second cloud's B (lines 78 to 82, `DX_2`), which
                 is at least min(A, B): bars are too long, and the gradient of these deaths goes to B alone
    both         only the 50 longest bars of each cross-barcode count (RTDRegularizer, `card`)

A death edge on which outer and inner matrix agree is read from the outer one or the inner one, depending on the
triangle that kills the bar; `cross_barcode` reports the triangle that the release's engine finds.
"""

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology.barcode import cross_barcode
from ganspace_topdis.topology.distances import as_point_pairs, normalized_distances

__all__ = ["NUM_BARS", "released_rtd"]

NUM_BARS = 50
"""Bars of each cross-barcode that count."""


def released_rtd(x: Tensor, y: Tensor, *, p: float = 1, max_bars: int = NUM_BARS) -> Tensor:
    """Return the release's loss, a scalar, of clouds x, y (N, ...): point i of x corresponds to point i of y.

    Args:
        x: the cloud before the shift.
        y: the cloud after it.
        p: power of the bar lengths.
        max_bars: number of bars of each cross-barcode that count.

    Raises:
        InvalidArgumentError: the clouds do not fit each other, or a coordinate is not finite.

    >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    >>> round(float(released_rtd(square, 3 * square + 1)), 6)
    0.0
    """
    with torch.autocast(x.device.type, enabled=False):
        first, second = (normalized_distances(cloud) for cloud in as_point_pairs(x, y))
        if not all(torch.isfinite(distances.detach()).all() for distances in (first, second)):
            raise InvalidArgumentError("x or y holds values that are NaN or infinite; RTD needs finite points")
        smaller, larger = torch.minimum(first, second), torch.maximum(first, second)
        terms = [
            _bars(first, smaller, second, p, max_bars),
            _bars(second, smaller, second, p, max_bars),
            _bars(larger, second, second, p, max_bars),
            _bars(larger, first, first, p, max_bars),
        ]
        return torch.stack(terms).sum() / 2


def _bars(outer: Tensor, inner: Tensor, deaths_in: Tensor, p: float, max_bars: int) -> Tensor:
    """Return the sum over the longest bars of |death - birth|^p, with deaths within `inner` read from `deaths_in`."""
    bars = cross_barcode(outer.detach(), inner.detach())
    longest = np.argsort(-bars.lengths, kind="stable")[:max_bars]
    born, died, in_outer = (
        torch.from_numpy(array[longest]).to(outer.device)
        for array in (bars.birth_edges, bars.death_edges, bars.death_in_outer)
    )
    births = inner[born[:, 0], born[:, 1]]
    deaths = torch.where(in_outer, outer[died[:, 0], died[:, 1]], deaths_in[died[:, 0], died[:, 1]])
    return (deaths - births).abs().pow(p).sum()
