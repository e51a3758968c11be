"""This project's methods of finding directions on the rungs of `topdis-gan bench directions`, over several seeds.

    python benchmarks/directions.py                       # everything: hours on two cores
    python benchmarks/directions.py scenes --methods topdis,sefa --seeds 0-2
    python benchmarks/directions.py --table               # results so far
    python benchmarks/directions.py --table --record      # add them to the package's cells, and print those

A cell is one method on one rung with one seed (see `stylegan2.bench.rungs`). Each is stored as a JSON file, its
directions beside it, as soon as it is measured, and never measured again, so an interrupted run resumes, and several
processes can share the work. The Markdown table has means and standard deviations over the seeds, with the best method
of a column in bold, except of agreement, which closed forms have by nature. The oracle, regression on the factors'
readings, and the ceilings (`direction_ceiling`) have seen the truth and are no methods. Times are processor time of one
thread. Searches are those of w, and with -s at the end of their name those of S (`discover --space s`). Recorded cells
that are not measured here stay.
"""

import argparse
import dataclasses
import functools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from direction_ceiling import CEILINGS, Ceiling

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.discovery.baselines import coordinate_axes, ganspace, ganspace_of_features, ica
from ganspace_topdis.discovery.settings import CLOSED_FORMS, SEARCH_METHODS
from ganspace_topdis.evaluation.rescoring import oracle
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import write_json, write_text
from stylegan2.bench.methods import COLUMNS, WITH_TRUTH, Cell, cells_csv, recorded, with_agreement
from stylegan2.bench.rungs import RUNGS, SCORES, HandBuilt, Network, Rung, rung_named
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.runs.search import closed_form
from stylegan2.settings import WHITENING, parse_numbers
from stylegan2.zoo import ASSETS

SEARCHES = (*SEARCH_METHODS[1:], SEARCH_METHODS[0])  # TopDis last
SEARCHES_IN_S = tuple(f"{name}-s" for name in SEARCHES)
METHODS = (
    *("random", "axes", "sefa", "ganspace", "ganspace-features", "ica", "span-axes"),
    *(*SEARCHES, *SEARCHES_IN_S, *WITH_TRUTH),
)
HAND_BUILT_STEPS = 400
NUM_ORACLE_CODES = 4000


def find_hand_built(method: str, seed: int, steps: int) -> Directions:
    """The directions of a method on the hand-built rung; searches start at a random rotation."""
    space = HandBuilt().space(seed)
    settings = DiscoverySettings(span="identity", num_directions=6, initialization="random", steps=steps, seed=seed)
    if method in SEARCHES:
        return searched(Discovery(space.generate, space.sample_codes, with_method(settings, method)))
    if method == "random":
        return Discovery(space.generate, space.sample_codes, settings).directions()
    if method == "span-axes":
        effect = dataclasses.replace(settings, span="effect")
        return Discovery(space.generate, space.sample_codes, effect).directions(torch.eye(6))
    codes = space.sample_codes(10_000, torch.Generator().manual_seed(seed))
    if method == "ganspace-features":
        return ganspace_of_features(space.generate, codes, 6, micro_batch=64)
    if method == "ica":
        return ica(codes, 6, seed=seed)
    return ganspace(codes, 6) if method == "ganspace" else coordinate_axes(codes, 6)


def find_in_network(rung: Network, method: str, seed: int, steps: int) -> Directions:
    """The directions of a method in a network, as many as the rung takes, with the defaults of `discover`."""
    space = rung.latent_space
    settings = DiscoverySettings(steps=steps, seed=seed, num_directions=rung.num_directions)
    if method in SEARCHES:
        return searched(Discovery(space.features, space.sample_codes, with_method(settings, method)))
    if method in SEARCHES_IN_S:
        space = rung.space_named("s")
        settings = dataclasses.replace(with_method(settings, method.removesuffix("-s")), whitening=WHITENING["s"])
        return searched(Discovery(space.features, space.sample_codes, settings))
    if method == "oracle":
        return oracle(space.images, rung.factor_network.read, rung.codes(NUM_ORACLE_CODES, seed)[1])
    if method in CEILINGS:
        ceiling = Ceiling(rung, CEILINGS[method], seed)
        ceiling.optimize()
        return ceiling.directions()
    name = next(each for each in CLOSED_FORMS if each == method)
    return closed_form(name, unsearched(rung, seed), space)


@functools.lru_cache(maxsize=1)
def unsearched(rung: Network, seed: int) -> Discovery:
    """The span that closed forms share."""
    space = rung.latent_space
    settings = DiscoverySettings(steps=0, seed=seed, num_directions=rung.num_directions)
    return Discovery(space.features, space.sample_codes, settings)


def with_method(settings: DiscoverySettings, method: str) -> DiscoverySettings:
    return dataclasses.replace(settings, method=next(each for each in SEARCH_METHODS if each == method))


def searched(search: Discovery) -> Directions:
    search.run()
    return search.accepted()


def takes(rung: Rung, method: str) -> bool:
    """Whether a method can be run on a rung: SeFa, S, the oracle and the ceilings need a network."""
    return isinstance(rung, Network) or method not in ("sefa", *SEARCHES_IN_S, *WITH_TRUTH)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argument_parser(__doc__)
    parser.add_argument("rungs", nargs="*", metavar="RUNG", help=f"{', '.join(RUNGS)}; all by default")
    parser.add_argument("--record", action="store_true", help="add the cells to those of stylegan2/assets")
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
    parser.add_argument(
        "--steps", type=int, help="of a search; by default 400 on the hand-built rung, else those of discover"
    )
    parser.add_argument("--cells", type=Path, default=Path("runs/directions"), help="folder of the results")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    return parser


def _methods(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := {*chosen} - {*METHODS}:
        raise argparse.ArgumentTypeError(f"no method is named {', '.join(sorted(unknown))}")
    return chosen


def path_of(cells: Path, rung: Rung, method: str, seed: int, steps: int | None = None) -> Path:
    """The path of a cell: the name contains everything that it depends on except the code."""
    of_file = f"_{rung.checkpoint_sha256[:8]}" if rung.checkpoint_sha256 else ""
    taken = f"_steps_{num_steps(rung, steps)}" if method in (*SEARCHES, *SEARCHES_IN_S) else ""
    return cells / f"{rung.name}{of_file}_{method}_seed_{seed}{taken}.json"


def num_steps(rung: Rung, steps: int | None) -> int:
    """The steps of a search on a rung, `steps` or the default."""
    return steps or (DiscoverySettings.steps if isinstance(rung, Network) else HAND_BUILT_STEPS)


def measure(options: argparse.Namespace, rung: Rung) -> None:
    """Measure the missing cells of a rung, and report each."""
    for method in (each for each in options.methods if takes(rung, each)):
        for seed in options.seeds:
            path, steps = path_of(options.cells, rung, method, seed, options.steps), num_steps(rung, options.steps)
            if path.exists():
                continue
            since = time.process_time()
            with frozen_weights():
                is_network = isinstance(rung, Network)
                found = find_in_network(rung, method, seed, steps) if is_network else None
                directions = found or find_hand_built(method, seed, steps)
            spent = {"seconds": time.process_time() - since} if method in (*SEARCHES, *SEARCHES_IN_S) else {}
            path.parent.mkdir(parents=True, exist_ok=True)
            directions.save(path.with_suffix(".safetensors"))
            scores = {**rung.score(directions, seed), **spent}
            write_json(path, dataclasses.asdict(Cell(rung=rung.name, method=method, seed=seed, scores=scores)))
            shown = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
            print(f"{rung.name}, {method}, seed {seed}: {shown}", file=sys.stderr, flush=True)


def read(options: argparse.Namespace, rung: Rung) -> list[Cell]:
    """The existing cells of a rung, with the agreement between seeds."""
    paths = [
        path_of(options.cells, rung, method, seed, options.steps)
        for method in options.methods
        for seed in options.seeds
    ]
    existing = [path for path in paths if path.exists()]
    return with_agreement(
        (Cell(**json.loads(path.read_text())), Directions.load(path.with_suffix(".safetensors"))) for path in existing
    )


def added(cells: Sequence[Cell], known: Sequence[Cell]) -> list[Cell]:
    """The known cells, those of `cells` in their place or beside them; an agreement that has no new value stays."""
    together = {(cell.rung, cell.method, cell.seed): cell for cell in known}
    for cell in cells:
        key = (cell.rung, cell.method, cell.seed)
        before = together[key].scores if key in together else {}
        together[key] = dataclasses.replace(cell, scores={**before, **cell.scores})
    methods = list(dict.fromkeys((*METHODS, *(cell.method for cell in together.values()))))  # those of others last
    return sorted(together.values(), key=lambda cell: (RUNGS.index(cell.rung), methods.index(cell.method), cell.seed))


def kept(options: argparse.Namespace, rung: Rung, method: str, seed: int) -> Directions:
    """The directions of an existing cell."""
    return Directions.load(path_of(options.cells, rung, method, seed, options.steps).with_suffix(".safetensors"))


def table(cells: Sequence[Cell], num_seeds: int) -> str:
    """Markdown, a table per rung; another number of seeds than `num_seeds` in parentheses."""
    parts = []
    for rung in RUNGS:
        of_rung = [cell for cell in cells if cell.rung == rung]
        names = [name for name in COLUMNS if any(name in cell.scores for cell in of_rung)]
        columns = [_column(of_rung, name, num_seeds) for name in names]
        if names:
            parts.append(f"{rung}:\n\n" + markdown([_title(name) for name in names], columns))
    return "\n\n".join(parts)


def _title(name: str) -> str:
    """The heading of a score, without bars, which would end a cell."""
    return SCORES.get(name, name).replace("|cos|", "abs cos")


def markdown(titles: Sequence[str], columns: Sequence[dict[str, str]]) -> str:
    """A row for each method that is in a column."""
    methods = [method for method in METHODS if any(method in each for each in columns)]
    lines = [f"| method | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    lines += [f"| {method} | {' | '.join(each.get(method, '') for each in columns)} |" for method in methods]
    return "\n".join(lines)


def _column(cells: Sequence[Cell], score: str, num_seeds: int) -> dict[str, str]:
    values = {
        method: [cell.scores[score] for cell in cells if cell.method == method and score in cell.scores]
        for method in METHODS
    }
    if score == "seconds":
        return {method: f"{_mean(each):.0f}" for method, each in values.items() if each}
    return column(values, num_seeds, bold=score != "agreement")


def column(values: dict[str, list[float]], num_seeds: int, *, bold: bool = True) -> dict[str, str]:
    """A column of the table, for each method that has values: mean and deviation, the best in bold.

    Args:
        values: of each method, over seeds.
        num_seeds: a method with another number of seeds has it in parentheses.
        bold: whether larger is better.
    """
    values = {method: each for method, each in values.items() if each}
    methods = [method for method in values if method not in WITH_TRUTH] if bold else []
    best = max(methods, key=lambda method: _mean(values[method]), default=None)
    return {method: _cell(each, num_seeds, bold=method == best) for method, each in values.items()}


def _cell(values: Sequence[float], num_seeds: int, *, bold: bool) -> str:
    text = f"{_mean(values):.3f}"
    if len(values) > 1:
        text += f" ± {torch.tensor(values).std().item():.3f}"
    if len(values) != num_seeds:
        text += f" ({len(values)})"
    return f"**{text}**" if bold else text


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    torch.set_num_threads(1)
    cells: list[Cell] = []
    for name in options.rungs:
        rung = rung_named(name)
        if not options.table:
            measure(options, rung)
        cells += read(options, rung)
    if options.record:
        write_text(ASSETS / "directions_bench.csv", cells_csv(added(cells, recorded())))
        cells = recorded()  # as the command shows them
    print(table(cells, len(options.seeds)))


if __name__ == "__main__":
    main()
