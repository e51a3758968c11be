"""The rescoring matrix: the factors that each direction changes, read by a factor network.

    R_ik = mean over codes c and shifts a of  |factor k of G(c + a v_i)  -  factor k of G(c)|  /  u_k

with u_k the mean change of factor k between random images, which makes factors comparable (after Shen and Zhou 2021,
arXiv:2007.06600, who have not released their network). Directions are matched to factors one to one (Hungarian method)
by their shares R_ik / sum_k R_ik. The share of a perfect direction is below 1, because the network is not perfect:
compare it with that of the `oracle`, the directions found by regression on the readings.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from scipy.stats import rankdata
from torch import Tensor

from ganspace_topdis.discovery.active_subspace import identity_span, to_directions
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.factor_network import Readings, change, unwrapped
from ganspace_topdis.evaluation.factors import Factor
from ganspace_topdis.evaluation.matching import match
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.directions import Directions

__all__ = ["Rescoring", "noise_floor", "oracle", "rescore"]

Read = Callable[[Tensor], Readings]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rescoring:
    """Scores of K directions on F factors.

    Attributes:
        factors: names of the factors.
        matrix: K rows of F numbers, R of the module's formula.
        direction: the direction matched to each factor, or None.
        share: the share of each factor in the change by its direction, in [0, 1]; 0 without a direction.
        spearman: |rank correlation| of each factor's reading with the position along the path of its direction.
        off_target: the change of all other factors over that of each factor; infinite without a direction.
    """

    factors: tuple[str, ...]
    matrix: list[list[float]]
    direction: list[int | None]
    share: list[float]
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
        """Lists of K entries: the factor matched to each direction, its share and its Spearman correlation, or None."""
        places: list[int | None] = [
            self.direction.index(row) if row in self.direction else None for row in range(len(self.matrix))
        ]
        return {
            "factor": [None if place is None else self.factors[place] for place in places],
            "share": [None if place is None else self.share[place] for place in places],
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
    amounts: Sequence[float] = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0),
    layers: Sequence[int] | None = None,
    batch_size: int = 256,
) -> Rescoring:
    """Score `directions` on the factors of `read`.

    Args:
        generate: codes (N, D) or (N, num_layers, D) -> images (N, C, H, W).
        read: images -> readings, such as `FactorNetwork.read`.
        codes: (n, D) or (n, num_layers, D), n >= 2; 100 or more are better.
        directions: K directions.
        amounts: the path, in standard deviations; its middle entry is 0.
        layers: indices of the layers that move; all by default.
        batch_size: images at a time.

    Raises:
        InvalidArgumentError: there are fewer than two codes, or the middle of the path is not 0.
    """
    if len(codes) < 2 or len(amounts) % 2 == 0 or amounts[len(amounts) // 2] != 0:
        raise InvalidArgumentError("rescoring needs at least two codes, and `amounts` with 0 in the middle")
    start = read_codes(generate, read, codes, batch_size)
    unit = change(start, start.select(torch.arange(len(codes)).roll(1))).mean(0).clamp(min=1e-12)
    rows, paths = [], []
    for index in range(directions.num_directions):
        path = [
            start
            if amount == 0
            else read_codes(generate, read, directions.move(codes, index, amount, layers=layers), batch_size)
            for amount in amounts
        ]
        moved = [change(reading, start) for reading, amount in zip(path, amounts, strict=True) if amount != 0]
        rows.append(torch.stack(moved).mean((0, 1)) / unit)
        paths.append(_ranks_along(path))
    return _matched(start.factors, torch.stack(rows).cpu().double(), torch.stack(paths).double())


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


def noise_floor(generate: Generate, read: Read, codes: Tensor, *, noise: float = 0.02, seed: int = 0) -> list[float]:
    """The change of each factor's reading by pixel noise, over its mean change: the error floor of the network.

    Args:
        generate: codes (N, D) -> images (N, C, H, W).
        read: images -> readings, such as `FactorNetwork.read`.
        codes: (n, D).
        noise: standard deviation of the noise; images are in [-1, 1].
        seed: of the noise.
    """
    images = generate(codes)
    start = read(images)
    unit = change(start, start.select(torch.arange(len(codes)).roll(1))).mean(0).clamp(min=1e-12)
    added = noise * torch.randn(images.shape, generator=torch.Generator().manual_seed(seed)).to(images)
    return (change(read(images + added), start).mean(0) / unit).tolist()


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
    steps = rankdata(range(len(path)))
    result = []
    for place, factor in enumerate(path[0].factors):
        values = torch.stack([reading.values[place] for reading in path], dim=1)
        if factor.kind == "circular":
            values = unwrapped(values)
        elif factor.kind == "categorical":
            values = 0.5 * (values - values[:, :1]).abs().sum(-1)
        ranks = torch.from_numpy(rankdata(values.cpu().numpy(), axis=1))
        result.append(_correlation(ranks, torch.from_numpy(steps)).mean().abs())
    return torch.stack(result)


def _correlation(rows: Tensor, column: Tensor) -> Tensor:
    """Pearson's correlation of each row (N, P) with `column` (P,); 0 for a constant row."""
    rows, column = rows - rows.mean(1, keepdim=True), column - column.mean()
    return (rows @ column) / (rows.norm(dim=1) * column.norm()).clamp(min=1e-12)


def _matched(factors: Sequence[Factor], matrix: Tensor, ranks: Tensor) -> Rescoring:
    shares = matrix / matrix.sum(1, keepdim=True).clamp(min=1e-12)
    direction = [None if row < 0 else row for row in match(shares)]
    pairs = list(enumerate(direction))
    share = [0.0 if row is None else float(shares[row, place]) for place, row in pairs]
    return Rescoring(
        factors=tuple(factor.name for factor in factors),
        matrix=matrix.tolist(),
        direction=direction,
        share=share,
        spearman=[0.0 if row is None else float(ranks[row, place]) for place, row in pairs],
        off_target=[float("inf") if part <= 0 else (1 - part) / part for part in share],
    )
