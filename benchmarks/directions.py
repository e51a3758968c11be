"""Every method of finding directions, measured against the truth on three rungs, over several seeds.

    python benchmarks/directions.py                       # everything: hours on two cores
    python benchmarks/directions.py scenes --methods topdis,sefa --seeds 0-2
    python benchmarks/directions.py --table               # results so far

A cell is one method on one rung with one seed (see `direction_rungs`). Each is stored as a JSON file, its directions
beside it, as soon as it is measured, and never measured again, so an interrupted run resumes, and several processes can
share the work. The Markdown table has means and standard deviations over the seeds, with the best method of a column
in bold; the oracle, regression on the factors' readings, is not a method. Times are processor time of one thread.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from direction_rungs import HandBuilt, Network, Rung

from ganspace_topdis.discovery.settings import SEARCH_METHODS
from ganspace_topdis.runs.files import write_json
from stylegan2.picture_settings import parse_numbers

RUNGS = ("hand-built", "fitted", "scenes")
METHODS = (
    *("random", "axes", "sefa", "ganspace", "ganspace-features", "span-axes"),
    *("hessian", "contrastive", "reconstructor", "topdis", "oracle"),
)
COLUMNS = (
    ("hand-built", "cos", "mean abs cos"),
    ("hand-built", "worst cos", "worst axis"),
    ("fitted", "share", "fitted: share"),
    ("fitted", "spearman", "Spearman"),
    ("fitted", "truth", "truth"),
    ("scenes", "share", "scenes: share"),
    ("scenes", "spearman", "Spearman"),
    ("scenes", "seconds", "seconds"),
)
Cell = dict[str, float]


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argument_parser(__doc__)
    parser.add_argument("rungs", nargs="*", metavar="RUNG", help=f"{', '.join(RUNGS)}; all by default")
    parser.add_argument(
        "--steps", type=int, help="of a search; by default 400 on the hand-built rung, else those of discover"
    )
    parser.add_argument("--fitted", default="scenes-fitted", help="the fitted generator")
    options = parser.parse_args(argv)
    options.rungs = options.rungs or list(RUNGS)
    for unknown in {*options.rungs} - {*RUNGS}:
        parser.error(f"{unknown!r} is no rung; those are {', '.join(RUNGS)}")
    return options


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """The options that choose cells."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", type=_methods, default=METHODS, help=f"of {','.join(METHODS)}; all by default")
    parser.add_argument("--seeds", type=parse_numbers, default=(0, 1, 2, 3, 4))
    parser.add_argument("--features", type=int, default=32, help="block of a network that is compared, px")
    parser.add_argument("--cells", type=Path, default=Path("runs/directions"), help="folder of the results")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    return parser


def _methods(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := {*chosen} - {*METHODS}:
        raise argparse.ArgumentTypeError(f"no method is named {', '.join(sorted(unknown))}")
    return chosen


def rung_named(name: str, options: argparse.Namespace) -> Rung:
    """The rung; a network is loaded from its file."""
    if name == "hand-built":
        return HandBuilt()
    return Network(name, options.fitted if name == "fitted" else "scenes", options.features)


def path_of(folder: Path, rung: Rung, method: str, seed: int, steps: int) -> Path:
    """The path of a cell: the name contains everything that it depends on except the code."""
    name = f"{rung.key} {method} seed {seed}" + (f" steps {steps}" if method in SEARCH_METHODS else "")
    return folder / f"{name}.json".replace(" ", "_")


def measure(options: argparse.Namespace, rung: Rung) -> None:
    """Measure the missing cells of a rung, and report each."""
    steps = options.steps or rung.steps
    for method in (each for each in options.methods if each in rung.methods):
        for seed in options.seeds:
            path = path_of(options.cells, rung, method, seed, steps)
            if path.exists():
                continue
            directions, cell = rung.cell(method, seed, steps)
            path.parent.mkdir(parents=True, exist_ok=True)
            directions.save(path.with_suffix(".safetensors"))
            write_json(path, cell)
            shown = ", ".join(f"{name} {value:.3f}" for name, value in cell.items())
            print(f"{rung.key}, {method}, seed {seed}: {shown}", file=sys.stderr, flush=True)


def read(options: argparse.Namespace, rung: Rung) -> dict[str, list[Cell]]:
    """The existing cells, by method."""
    steps = options.steps or rung.steps
    found = {}
    for method in options.methods:
        paths = [path_of(options.cells, rung, method, seed, steps) for seed in options.seeds]
        cells = [json.loads(path.read_text()) for path in paths if path.exists()]
        if cells:
            found[method] = cells
    return found


def table(results: dict[str, dict[str, list[Cell]]], num_seeds: int) -> str:
    """Markdown: one row per method, one column per score of a rung; fewer seeds than `num_seeds` in parentheses."""
    columns = [column for column in COLUMNS if column[0] in results]
    written = [_column(results[rung], score, num_seeds) for rung, score, _ in columns]
    return markdown([title for *_, title in columns], written)


def markdown(titles: Sequence[str], columns: Sequence[dict[str, str]]) -> str:
    """A row for each method that is in a column."""
    methods = [method for method in METHODS if any(method in each for each in columns)]
    lines = [f"| method | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    lines += [f"| {method} | {' | '.join(each.get(method, '') for each in columns)} |" for method in methods]
    return "\n".join(lines)


def _column(cells: dict[str, list[Cell]], score: str, num_seeds: int) -> dict[str, str]:
    values = {method: [each[score] for each in rows if score in each] for method, rows in cells.items()}
    if score == "seconds":
        return {method: f"{_mean(each):.0f}" for method, each in values.items() if each}
    return column(values, num_seeds)


def column(values: dict[str, list[float]], num_seeds: int, *, bold: bool = True) -> dict[str, str]:
    """A column of the table, for each method that has values: mean and deviation, the best in bold.

    Args:
        values: of each method, over seeds.
        num_seeds: a method with fewer seeds has their number in parentheses.
        bold: whether larger is better.
    """
    values = {method: each for method, each in values.items() if each}
    methods = [method for method in values if method != "oracle"] if bold else []
    best = max(methods, key=lambda method: _mean(values[method]), default=None)
    return {method: _cell(each, num_seeds, bold=method == best) for method, each in values.items()}


def _cell(values: Sequence[float], num_seeds: int, *, bold: bool) -> str:
    text = f"{_mean(values):.3f}"
    if len(values) > 1:
        text += f" ± {torch.tensor(values).std().item():.3f}"
    if len(values) < num_seeds:
        text += f" ({len(values)})"
    return f"**{text}**" if bold else text


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    torch.set_num_threads(1)
    results = {}
    for name in options.rungs:
        rung = rung_named(name, options)
        if not options.table:
            measure(options, rung)
        if cells := read(options, rung):
            results[name] = cells
    print(table(results, len(options.seeds)))


if __name__ == "__main__":
    main()
