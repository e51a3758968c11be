"""Which score without truth orders directions as the truth does: Spearman's correlation on every rung.

    python benchmarks/directions.py --seeds 0-2,100,101           # finds the directions: hours
    python benchmarks/direction_orders.py --seeds 100,101         # chooses
    python benchmarks/direction_orders.py --seeds 0-2             # reports

The scores are those of `ganspace_topdis.discovery.held_out`, at equal effect. Sets are ordered by the geometric mean of
a score over their directions, against the set's calibrated share, or |cos| on the hand-built rung. In parentheses: the
same over the single directions of all sets, against the share of the factor, or |cos| with the true direction, that a
direction is matched to; those without one are left out.
"""

import dataclasses
import math
from collections.abc import Sequence

import torch
from direction_ceiling import CEILINGS
from directions import METHODS, argument_parser, kept, read
from scipy.stats import spearmanr

from ganspace_topdis.discovery.held_out import HeldOutScores, evaluate_held_out
from ganspace_topdis.evaluation.matching import recovery
from ganspace_topdis.generators import HandBuiltGenerator
from ganspace_topdis.latent.directions import Directions
from stylegan2.bench.rungs import RUNGS, Network, Rung, rung_named
from stylegan2.ops.weight_cache import frozen_weights

SCORES: dict[str, dict[str, float]] = {
    "overlap": {"overlap": 1},
    "mixed difference": {"mixed": 1},
    "RTD": {"rtd": 1},
    "mixed x overlap": {"mixed": 1, "overlap": 1},
    "overlap x sqrt(RTD)": {"overlap": 1, "rtd": 0.5},
    "mixed x overlap x RTD": {"mixed": 1, "overlap": 1, "rtd": 1},
}
"""Each a product of powers; lower is better."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoredSet:
    """The directions of a cell.

    Attributes:
        truth: of the set.
        truths: of each direction; None where it is matched to no factor.
        held_out: the scores without truth.
    """

    truth: float
    truths: list[float | None]
    held_out: HeldOutScores

    def logs(self, score: str) -> list[float]:
        """The logarithm of a score of `SCORES`, for each direction."""
        columns = [(power, getattr(self.held_out, name)) for name, power in SCORES[score].items()]
        return [
            sum(power * math.log(max(column[index], 1e-9)) for power, column in columns)
            for index in range(len(self.truths))
        ]


def truths_of(rung: Rung, directions: Directions, seed: int) -> list[float | None]:
    """|cos| of each direction with its true one, or the share of its factor; None without one."""
    if isinstance(rung, Network):
        return rung.rescore(directions, seed).columns()["share"]
    found = recovery(directions.vectors, HandBuiltGenerator(seed=seed).true_directions)
    own = {index: cosine for index, cosine in zip(found.matched, found.cosines, strict=True) if index >= 0}
    return [own.get(index) for index in range(directions.num_directions)]


def orders(sets: Sequence[ScoredSet]) -> dict[str, str]:
    """The rank correlation of every score with the truth: over the sets, and in parentheses over single directions."""
    shown = {}
    for score in SCORES:
        logs = [each.logs(score) for each in sets]
        means = [sum(values) / len(values) for values in logs]
        pairs = [
            (log, truth)
            for each, values in zip(sets, logs, strict=True)
            for log, truth in zip(values, each.truths, strict=True)
            if truth is not None
        ]
        single = _correlation([log for log, _ in pairs], [truth for _, truth in pairs])
        shown[score] = f"{_correlation(means, [each.truth for each in sets]):.2f} ({single:.2f})"
    return shown


def _correlation(logs: Sequence[float], truths: Sequence[float]) -> float:
    return float(spearmanr([-value for value in logs], truths).statistic)


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rungs", default=",".join(RUNGS), help="all by default")
    parser.set_defaults(methods=[method for method in METHODS if method not in CEILINGS])
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    columns: dict[str, dict[str, str]] = {}
    for name in options.rungs.split(","):
        rung = rung_named(name)
        sets = []
        for cell in read(options, rung):
            directions, space = kept(options, rung, cell.method, cell.seed), rung.space(cell.seed)
            own = {each.code_dim: each for each in (space, *space.wider.values())}[directions.code_dim]
            with frozen_weights():
                found = evaluate_held_out(own.generate, own.sample_codes, directions, num_random=0, seed=cell.seed)
            truth = cell.scores["cos" if name == "hand-built" else "share"]
            sets.append(ScoredSet(truth=truth, truths=truths_of(rung, directions, cell.seed), held_out=found))
        if len(sets) > 2:
            columns[f"{name}: {len(sets)} sets"] = orders(sets)
    print(f"| at equal effect | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for score in SCORES:
        print(f"| {score} | {' | '.join(column[score] for column in columns.values())} |")


if __name__ == "__main__":
    main()
