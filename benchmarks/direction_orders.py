"""Which score without truth orders sets of directions as the truth does: Spearman's correlation on every rung.

    python benchmarks/directions.py --seeds 0-2,100,101           # finds the directions: hours
    python benchmarks/direction_orders.py --seeds 100,101         # chooses
    python benchmarks/direction_orders.py --seeds 0-2             # reports

The scores are those of `ganspace_topdis.discovery.held_out`, at equal effect: the geometric mean over the directions of
a set, against the set's calibrated share, or |cos| on the hand-built rung.
"""

import math
from collections.abc import Callable

import torch
from directions import argument_parser, path_of, read
from scipy.stats import spearmanr

from ganspace_topdis.discovery.held_out import HeldOutScores, evaluate_held_out
from ganspace_topdis.latent.directions import Directions
from stylegan2.bench.rungs import RUNGS, rung_named
from stylegan2.ops.weight_cache import frozen_weights

SCORES: dict[str, Callable[[HeldOutScores], float]] = {
    "overlap": lambda found: mean_log(found.overlap),
    "mixed difference": lambda found: mean_log(found.mixed),
    "RTD": lambda found: mean_log(found.rtd),
    "mixed x overlap": lambda found: mean_log(found.mixed) + mean_log(found.overlap),
    "overlap x sqrt(RTD)": lambda found: mean_log(found.overlap) + mean_log(found.rtd) / 2,
    "mixed x overlap x RTD": lambda found: mean_log(found.mixed) + mean_log(found.overlap) + mean_log(found.rtd),
}


def mean_log(values: list[float]) -> float:
    return sum(math.log(max(value, 1e-9)) for value in values) / len(values)


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rungs", default=",".join(RUNGS), help="all by default")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    columns: dict[str, dict[str, float]] = {}
    for name in options.rungs.split(","):
        rung = rung_named(name)
        truths, held_out = [], []
        for cell in read(options, rung):
            path = path_of(options.cells, rung, cell.method, cell.seed, options.steps).with_suffix(".safetensors")
            directions, space = Directions.load(path), rung.space(cell.seed)
            own = {each.code_dim: each for each in (space, *space.wider.values())}[directions.code_dim]
            with frozen_weights():
                found = evaluate_held_out(own.generate, own.sample_codes, directions, num_random=0, seed=cell.seed)
            held_out.append(found)
            truths.append(cell.scores["cos" if name == "hand-built" else "share"])
        if len(truths) > 2:
            title = f"{name}: {len(truths)} sets"
            columns[title] = {
                score: float(spearmanr([-value(each) for each in held_out], truths).statistic)
                for score, value in SCORES.items()
            }
    print(f"| at equal effect | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for score in SCORES:
        print(f"| {score} | {' | '.join(f'{column[score]:.2f}' for column in columns.values())} |")


if __name__ == "__main__":
    main()
