"""Total persistence, the sum of powers of bar lengths (Cohen-Steiner et al. 2010), with its gradient.

A bar read from the birth edge e and the death edge f contributes (M(f) - V(e))^p, where V = min(A, B) or B is the
inner matrix and M is the inner or the outer one. Its derivative is p (M(f) - V(e))^(p - 1) times +1 at M(f) and
-1 at V(e). Through a minimum or maximum it goes to the matrix of the value, half to each if they are equal (as in
autograd).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.topology.backend import Bars, Pair, bars_of_pairs

__all__ = ["PersistenceOptions", "total_persistence"]


@dataclass(frozen=True, kw_only=True)
class PersistenceOptions:
    """The barcodes that are summed ("min", "max" or both; also with A and B exchanged) and how; see `rtd`."""

    kinds: tuple[str, ...]
    symmetric: bool
    p: float
    max_bars: int | None
    immovable: bool


@dataclass(frozen=True)
class _Barcode:
    """One barcode of the sum: pair (A, B) = (matrices[first], matrices[1 - first]) of one item of the batch."""

    item: int
    first: int
    kind: str


def total_persistence(
    clouds: Sequence[NDArray[np.floating]], options: PersistenceOptions
) -> list[tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """The sums over the bars of A = matrices[0] and B = matrices[1], and their gradients, on the host.

    Args:
        clouds: arrays (2, B, N, N) of finite distances, of any B and N each; all barcodes are computed in parallel.
        options: see `PersistenceOptions`.

    Returns:
        For each array the sums (B,), and the gradient (2, B, N, N) of their total, in which every edge has one entry.
    """
    barcodes = [_barcodes(matrices.shape[1], options) for matrices in clouds]
    pairs = [_pairs(matrices, listed) for matrices, listed in zip(clouds, barcodes, strict=True)]
    bars = iter(bars_of_pairs([pair for listed in pairs for pair in listed]))
    return [
        _sum_and_gradient(matrices, listed, [next(bars) for _ in listed], options)
        for matrices, listed in zip(clouds, barcodes, strict=True)
    ]


def _barcodes(num_items: int, options: PersistenceOptions) -> list[_Barcode]:
    firsts = (0, 1) if options.symmetric else (0,)
    return [_Barcode(item, first, kind) for item in range(num_items) for kind in options.kinds for first in firsts]


def _pairs(matrices: NDArray[np.floating], barcodes: list[_Barcode]) -> list[Pair]:
    """The (outer, inner) matrices of each barcode; minima and maxima are computed once per item."""
    made: dict[tuple[int, str], NDArray[np.floating]] = {}
    pairs: list[Pair] = []
    for barcode in barcodes:
        item, kind = barcode.item, barcode.kind
        if (item, kind) not in made:
            combine = np.minimum if kind == "min" else np.maximum
            made[item, kind] = combine(matrices[0, item], matrices[1, item])
        if kind == "min":
            pairs.append((matrices[barcode.first, item], made[item, kind]))
        else:
            pairs.append((made[item, kind], matrices[1 - barcode.first, item]))
    return pairs


def _sum_and_gradient(
    matrices: NDArray[np.floating],
    barcodes: list[_Barcode],
    bars: list[Bars],
    options: PersistenceOptions,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """(B,) sums, and the gradient (2, B, N, N) of their total."""
    _, num_items, n, _ = matrices.shape
    flat = matrices.reshape(-1)
    counts = [len(edges) for edges, _ in bars]
    bar = np.concatenate([edges for edges, _ in bars])
    births, deaths = np.concatenate([values for _, values in bars], axis=1).astype(np.float64)
    item = np.repeat([b.item for b in barcodes], counts)
    first = np.repeat([b.first for b in barcodes], counts)
    is_min = np.repeat([b.kind == "min" for b in barcodes], counts)

    in_outer = bar[:, 4] == 1
    edge = np.stack([bar[:, 0] * n + bar[:, 1], bar[:, 2] * n + bar[:, 3]])
    own = (first * num_items + item) * n * n + edge
    other = ((1 - first) * num_items + item) * n * n + edge
    reads_own = np.where(is_min, np.stack([np.zeros_like(in_outer), in_outer]), False)
    reads_other = np.where(is_min, False, np.stack([np.ones_like(in_outer), ~in_outer]))
    share = _share_of_first(flat[own], flat[other], is_min)
    if options.immovable:
        share = np.broadcast_to(first == 1, share.shape)
    share = np.where(reads_own, 1.0, np.where(reads_other, 0.0, share))

    lengths = deaths - births
    kept = _longest(lengths, counts, options.max_bars)
    weight = 0.5 if options.symmetric else 1.0
    sums = np.bincount(item[kept], weight * lengths[kept] ** options.p, minlength=num_items).astype(np.float64)

    slope = weight * options.p * lengths[kept] ** (options.p - 1) * np.array([[-1.0], [1.0]])
    places = np.concatenate([own[:, kept], other[:, kept]], axis=None)
    charges = np.concatenate([slope * share[:, kept], slope * (1 - share[:, kept])], axis=None)
    gradient: NDArray[np.floating] = np.bincount(places, charges, minlength=flat.size).astype(matrices.dtype)
    return sums, np.reshape(gradient, matrices.shape)


def _share_of_first(
    own: NDArray[np.floating], other: NDArray[np.floating], is_min: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The part of the derivative of min (or max) that goes to the first: 1, 0, or half if they are equal."""
    return np.where(own == other, 0.5, np.where((own < other) == is_min, 1.0, 0.0))


def _longest(lengths: NDArray[np.float64], counts: list[int], max_bars: int | None) -> NDArray[np.int64]:
    """Indices of the bars kept: all, or the `max_bars` longest of each barcode."""
    if max_bars is None or max(counts, default=0) <= max_bars:
        return np.arange(len(lengths))
    ends = np.cumsum(counts)
    kept = [
        end - count + np.argsort(-lengths[end - count : end], kind="stable")[:max_bars]
        for count, end in zip(counts, ends, strict=True)
    ]
    return np.concatenate(kept)
