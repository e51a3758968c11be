"""The rescoring matrix: the factors that each direction changes, read by a factor network.

    R_ik = mean over codes c and shifts a of  |factor k of G(c + a v_i)  -  factor k of G(c)|  /  u_k

with u_k the mean change of factor k between random images, which makes factors comparable (after Shen and Zhou 2021,
arXiv:2007.06600, who have not released their network). Directions are matched to factors one to one (Hungarian method)
by their shares R_ik / sum_k R_ik. The share of a perfect direction is below 1, because the network is not perfect:
compare it with that of the `oracle`, the directions found by regression on the readings.

The share is calibrated. A direction of little effect changes little of anything within two standard deviations, and a
share of small changes is not that of large ones. So each direction has a path of its own length, the extent E_i:

    shifts a = E_i t,  t = -1, -3/4, ..., 1,    with E_i such that  R_ik = 0.42  for the factor k of the direction,

and 0.42 is about what two standard deviations along a good direction of the packaged generator change. E_i is read
from the changes at a few amounts on fewer codes, between bounds; where a factor does not change so much within them,
the longest path is taken, and `own_change` shows how little it changes at one standard deviation.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from scipy.stats import rankdata
from torch import Tensor

from ganspace_topdis.discovery.active_subspace import identity_span, to_directions
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.factor_network import Readings, change, unwrapped
from ganspace_topdis.evaluation.matching import match
from ganspace_topdis.factors import Factor
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.directions import Directions

__all__ = ["OWN_CHANGE", "Rescoring", "noise_floor", "num_rescored_images", "oracle", "rescore"]

Read = Callable[[Tensor], Readings]

OWN_CHANGE = 0.42
"""The change of a direction's own factor along its path, in mean changes between two random images."""

LARGEST_EXTENT, _SMALLEST_EXTENT = 8.0, 0.25
"""Bounds of the length of a path, in standard deviations."""

_PROBED = (0.5, 1.0, 2.0, 4.0, 8.0)
_NUM_PROBE_CODES = 48
_STEPS = (0.25, 0.5, 0.75, 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rescoring:
    """Scores of K directions on F factors.

    Attributes:
        factors: names of the factors.
        matrix: K rows of F numbers, R of the module's formula.
        direction: the direction matched to each factor, or None.
        share: the share of each factor in the change by its direction, in [0, 1]; 0 without a direction.
        own_change: the change of each factor by one standard deviation along its direction, over its mean change
            between random images; 0 without a direction.
        extent: the length of each direction's path, in standard deviations, K numbers.
        spearman: |rank correlation| of each factor's reading with the position along the path of its direction.
        off_target: the change of all other factors over that of each factor; infinite without a direction.
    """

    factors: tuple[str, ...]
    matrix: list[list[float]]
    direction: list[int | None]
    share: list[float]
    own_change: list[float]
    extent: list[float]
    spearman: list[float]
    off_target: list[float]

    @property
    def mean_share(self) -> float:
        """Mean of `share` over the factors."""
        return sum(self.share) / len(self.share)

    @property
    def mean_spearman(self) -> float:
        """Mean of `spearman` over the factors."""
        return sum(self.spearman) / len(self.spearman)

    def columns(self) -> dict[str, list[Any]]:
        """Lists of K entries: each direction's factor, share, own change and Spearman correlation, or None."""
        places: list[int | None] = [
            self.direction.index(row) if row in self.direction else None for row in range(len(self.matrix))
        ]
        return {
            "factor": [None if place is None else self.factors[place] for place in places],
            "share": [None if place is None else self.share[place] for place in places],
            "own_change": [None if place is None else self.own_change[place] for place in places],
            "spearman": [None if place is None else self.spearman[place] for place in places],
        }

    def _repr_html_(self) -> str:
        """HTML for notebooks: the matrix, with the matched pairs framed."""
        from ganspace_topdis.notebook import matrix_html  # on use: notebook.py imports the pages

        rows = [f"direction {row}" for row in range(len(self.matrix))]
        marked = [(row, column) for column, row in enumerate(self.direction) if row is not None]
        caption = f"mean share {self.mean_share:.3f}, mean Spearman {self.mean_spearman:.3f}"
        return matrix_html(rows, self.factors, self.matrix, marked=marked, caption=caption)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; an infinite off-target ratio becomes None."""
        finite = [None if ratio == float("inf") else ratio for ratio in self.off_target]
        means = {"mean_share": self.mean_share, "mean_spearman": self.mean_spearman}
        return {**dataclasses.asdict(self), "off_target": finite, **means}


def rescore(
    generate: Generate,
    read: Read,
    codes: Tensor,
    directions: Directions,
    *,
    own_change: float = OWN_CHANGE,
    batch_size: int = 256,
) -> Rescoring:
    """Score `directions` on the factors of `read`.

    Args:
        generate: codes (N, D) or (N, num_layers, D) -> images (N, C, H, W).
        read: images -> readings, such as `FactorNetwork.read`.
        codes: (n, D) or (n, num_layers, D), n >= 2; 100 or more are better.
        directions: K directions, of any length and not necessarily orthogonal.
        own_change: the change of its own factor that determines the length of a direction's path, above 0.
        batch_size: images at a time.

    Raises:
        InvalidArgumentError: there are fewer than two codes, or `own_change` is not above 0.
    """
    if len(codes) < 2 or own_change <= 0:
        raise InvalidArgumentError("rescoring needs at least two codes, and an `own_change` above 0")
    paths = _Paths(generate, read, codes, directions, batch_size)
    curves = torch.stack([paths.curve(index) for index in range(directions.num_directions)])
    direction, extents = _matched(curves, own_change)
    rows, ranks = zip(*(paths.along(index, extent) for index, extent in enumerate(extents)), strict=True)
    matrix, correlations = torch.stack(rows), torch.stack(ranks).double()
    shares = matrix / matrix.sum(1, keepdim=True).clamp(min=1e-12)
    unit = _PROBED.index(1.0)

    def of_factors(values: Tensor) -> list[float]:
        return [0.0 if row is None else float(values[row, place]) for place, row in enumerate(direction)]

    share = of_factors(shares)
    return Rescoring(
        factors=tuple(factor.name for factor in paths.start.factors),
        matrix=matrix.tolist(),
        direction=direction,
        share=share,
        own_change=of_factors(curves[:, unit]),
        extent=extents,
        spearman=of_factors(correlations),
        off_target=[float("inf") if part <= 0 else (1 - part) / part for part in share],
    )


def num_rescored_images(num_directions: int, num_codes: int) -> int:
    """How many images `rescore` makes."""
    per_direction = 2 * (len(_PROBED) * min(_NUM_PROBE_CODES, num_codes) + len(_STEPS) * num_codes)
    return num_codes + num_directions * per_direction


class _Paths:
    """The changes of the factors along paths through codes; units are the mean changes between random images."""

    def __init__(self, generate: Generate, read: Read, codes: Tensor, directions: Directions, batch_size: int) -> None:
        self._generate, self._read, self._codes, self._batch_size = generate, read, codes, batch_size
        self._directions = directions.in_sigmas()
        self.start = read_codes(generate, read, codes, batch_size)
        self._unit = change(self.start, self.start.select(torch.arange(len(codes)).roll(1))).mean(0).clamp(min=1e-12)

    def _moved(self, index: int, amount: float, num_codes: int) -> Readings:
        codes = self._directions.move(self._codes[:num_codes], index, amount)
        return read_codes(self._generate, self._read, codes, self._batch_size)

    def _change(self, moved: Readings) -> Tensor:
        start = self.start.select(slice(len(moved)))
        return (change(moved, start).mean(0) / self._unit).cpu().double()

    def curve(self, index: int) -> Tensor:
        """(P, F), the change of each factor at the probed amounts of both signs, on some of the codes."""
        pairs = [[self._moved(index, sign * amount, _NUM_PROBE_CODES) for sign in (1, -1)] for amount in _PROBED]
        return torch.stack([torch.stack([self._change(each) for each in pair]).mean(0) for pair in pairs])

    def along(self, index: int, extent: float) -> tuple[Tensor, Tensor]:
        """(F,) mean change along the path of that length, and (F,) |Spearman correlation| with the position on it."""
        ahead = [self._moved(index, extent * step, len(self._codes)) for step in _STEPS]
        back = [self._moved(index, -extent * step, len(self._codes)) for step in reversed(_STEPS)]
        moved = torch.stack([self._change(each) for each in (*back, *ahead)])
        return moved.mean(0), _ranks_along([*back, self.start, *ahead])


def _matched(curves: Tensor, own_change: float) -> tuple[list[int | None], list[float]]:
    """The direction of each factor, and the length of each direction's path, from `curves` (K, P, F).

    Entry (i, k) of the matrix that is matched is the share of factor k if it were the factor of direction i.
    """
    extents = torch.logspace(math.log2(_SMALLEST_EXTENT), math.log2(LARGEST_EXTENT), 101, base=2).double()
    means = _means_along(curves, extents)
    reached = means >= own_change
    places = torch.where(reached.any(1), reached.double().argmax(1), len(extents) - 1)
    shares = means / means.sum(2, keepdim=True).clamp(min=1e-12)
    at_own = shares.gather(1, places[:, None])[:, 0]
    direction = [None if row < 0 else row for row in match(at_own)]
    own = at_own.argmax(1)
    for place, row in enumerate(direction):
        if row is not None:
            own[row] = place
    return direction, extents[places.gather(1, own[:, None])[:, 0]].tolist()


def _means_along(curves: Tensor, extents: Tensor) -> Tensor:
    """(K, E, F): the mean change along paths of each length, between the probed amounts of `curves` (K, P, F)."""
    knots = torch.tensor((0.0, *_PROBED), dtype=torch.float64)
    values = torch.cat([torch.zeros_like(curves[:, :1]), curves], dim=1)
    amounts = extents[:, None] * torch.tensor(_STEPS, dtype=torch.float64)
    right = torch.bucketize(amounts, knots).clamp(1, len(knots) - 1)
    part = (amounts - knots[right - 1]) / (knots[right] - knots[right - 1])
    between = values[:, right - 1] * (1 - part)[..., None] + values[:, right] * part[..., None]
    return between.mean(2)


def oracle(generate: Generate, read: Read, codes: Tensor, *, ridge: float = 1e-3, batch_size: int = 256) -> Directions:
    """The directions, one per factor, found by ridge regression of the readings on the whitened codes (n, D).

    The targets of a circular factor are sine and cosine, those of a categorical factor its probabilities; the leading
    singular direction of their coefficients is taken.

    Args:
        generate: codes (N, D) -> images (N, C, H, W).
        read: images -> readings, such as `FactorNetwork.read`.
        codes: (n, D), more than D.
        ridge: regularization, per code.
        batch_size: images at a time.
    """
    span = identity_span(codes)
    whitened = ((codes - span.mean) @ span.projection.T).cpu().double()
    readings = read_codes(generate, read, codes, batch_size)
    gram = whitened.T @ whitened + ridge * len(codes) * torch.eye(whitened.shape[1], dtype=torch.float64)
    rows = []
    for factor, value in zip(readings.factors, readings.values, strict=True):
        targets = _targets(factor, value.cpu().double())
        coefficients = torch.linalg.solve(gram, whitened.T @ (targets - targets.mean(0)))
        leading, _, _ = torch.linalg.svd(coefficients, full_matrices=False)
        rows.append(leading[:, 0])
    return to_directions(span, torch.stack(rows).to(span.axes), method="oracle")


def noise_floor(
    generate: Generate, read: Read, codes: Tensor, *, noise: float = 0.02, seed: int = 0, batch_size: int = 256
) -> list[float]:
    """The change of each factor's reading by pixel noise, over its mean change: the error floor of the network.

    Args:
        generate: codes (N, D) -> images (N, C, H, W).
        read: images -> readings, such as `FactorNetwork.read`.
        codes: (n, D).
        noise: standard deviation of the noise; images are in [-1, 1].
        seed: of the noise.
        batch_size: images at a time.
    """
    rng = torch.Generator().manual_seed(seed)

    def noisy(chunk: Tensor) -> Tensor:
        images = generate(chunk)
        return images + noise * torch.randn(images.shape, generator=rng).to(images)

    start = read_codes(generate, read, codes, batch_size)
    unit = change(start, start.select(torch.arange(len(codes)).roll(1))).mean(0).clamp(min=1e-12)
    return (change(read_codes(noisy, read, codes, batch_size), start).mean(0) / unit).tolist()


def read_codes(generate: Generate, read: Read, codes: Tensor, batch_size: int) -> Readings:
    """The readings of the images of `codes`, in batches and without gradients."""
    with torch.no_grad():
        return Readings.concatenate([read(generate(chunk)) for chunk in codes.split(batch_size)])


def _targets(factor: Factor, value: Tensor) -> Tensor:
    if factor.kind == "circular":
        return torch.stack([value.sin(), value.cos()], dim=1)
    return value[:, None] if factor.kind == "linear" else value


def _ranks_along(path: Sequence[Readings]) -> Tensor:
    """(F,), |mean over codes| of Spearman's correlation between the reading and the position on the path.

    A categorical factor has no order: its total variation from the first image of the path is used.
    """
    steps = torch.arange(len(path), dtype=torch.float64)
    result = []
    for place, factor in enumerate(path[0].factors):
        values = torch.stack([reading.values[place] for reading in path], dim=1)
        if factor.kind == "circular":
            values = unwrapped(values)
        elif factor.kind == "categorical":
            values = 0.5 * (values - values[:, :1]).abs().sum(-1)
        ranks = torch.from_numpy(rankdata(values.cpu().numpy(), axis=1)).double()  # scipy 1.18 keeps float32
        result.append(_correlation(ranks, steps).mean().abs())
    return torch.stack(result)


def _correlation(rows: Tensor, column: Tensor) -> Tensor:
    """Pearson's correlation of each row (N, P) with `column` (P,); 0 for a constant row."""
    rows, column = rows - rows.mean(1, keepdim=True), column - column.mean()
    return (rows @ column) / (rows.norm(dim=1) * column.norm()).clamp(min=1e-12)
