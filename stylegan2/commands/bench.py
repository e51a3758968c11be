"""`topdis-gan bench directions`: anyone's method of finding directions, scored where the truth is known.

find or read directions -> score them on each rung -> table beside the recorded methods
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Settings, nearest, nested, option, split_names
from ganspace_topdis.runs.outputs import OutputSettings
from stylegan2.settings import parse_numbers

__all__ = ["COMMANDS", "Options", "run", "to_text"]

_RUNGS = ("hand-built", "fitted", "scenes", "scenes-64", "pebbles")


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What is scored, and where.

    Raises:
        InvalidArgumentError: a rung is unknown, or functions and files are mixed.
    """

    methods: tuple[str, ...] = option(
        (),
        help="Function as module:function, or runs or files of directions; none lists the recorded methods.",
        argument=True,
        nargs=-1,
        metavar="[MODULE:FUNCTION|FILE...]",
    )
    rungs: tuple[str, ...] | None = option(
        None,
        help="Generators: hand-built, fitted, scenes, scenes-64, pebbles.",
        group="Main",
        metavar="NAME,...",
        parse=split_names,
        default_text="all that fit",
    )
    seeds: tuple[int, ...] = option(
        (0, 1, 2), help="Seeds of a function.", group="Main", metavar="SEEDS", parse=parse_numbers
    )
    name: str | None = option(
        None,
        help="Name of the method; joins several files, as its seeds.",
        group="Main",
        default_text="that of function or file",
    )
    baseline: str = option(
        "topdis", help="Method that all others are compared with, seed by seed.", group="Main", metavar="METHOD"
    )
    out: Path | None = option(None, help="CSV file for its scores.", group="Main", metavar="FILE.csv")
    output: OutputSettings = nested(OutputSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        for rung in self.rungs or ():
            if rung not in _RUNGS:
                raise InvalidArgumentError(
                    f"`rungs` has {rung!r}, allowed are {', '.join(_RUNGS)}{nearest(rung, _RUNGS)}", field="rungs"
                )
        if self.rungs == ():
            self.refuse("rungs", f"at least one of {', '.join(_RUNGS)}")
        if len(self.methods) > 1 and any(_is_function(each) for each in self.methods):
            raise InvalidArgumentError(
                f"`methods` has {len(self.methods)} entries; give one function, or files only", field="methods"
            )
        if self.seeds != Options.seeds and not any(_is_function(each) for each in self.methods):
            raise InvalidArgumentError(
                "`seeds` are those that a function is called with; leave them out", field="seeds"
            )


def _is_function(method: str) -> bool:
    """Whether the text names a function: it is no path that exists, and does not end as a file of directions does."""
    return not Path(method).exists() and not method.endswith(".safetensors")


def run(options: Options) -> dict[str, Any]:
    """Score; return {"cells": one row per rung and seed, "recorded": those of other methods, "files": the CSV}.

    Raises:
        CheckpointError: a file cannot be read, or belongs to no rung.
        InvalidArgumentError: a function cannot be found or fails, its vectors do not fit, files are to be scored on the
            hand-built rung, a recorded method has the name, or no method has that of `baseline`.
        RunFolderError: the CSV exists and `force` is not set, or it cannot be written.
    """
    import dataclasses

    from ganspace_topdis.runs.files import write_text
    from stylegan2.bench.methods import cells_csv, name_of, recorded, with_agreement

    known = recorded()
    taken = {cell.method for cell in known}
    names = [name_of(Path(each)) for each in options.methods] if options.name is None else [options.name]
    if same := next((name for name in names if name in taken), None):
        raise InvalidArgumentError(
            f"a recorded method is named {same}; give another `name`, so that yours has a row of its own", field="name"
        )
    if options.baseline not in {*taken, *names}:
        allowed = f"allowed are {', '.join(sorted(taken))}{nearest(options.baseline, taken)}"
        raise InvalidArgumentError(f"`baseline` is {options.baseline!r}, {allowed}", field="baseline")
    if options.out is not None:
        options.output.earlier(options.out)
    measured = [
        (cell if options.name is None else dataclasses.replace(cell, method=options.name), directions)
        for cell, directions in _measured(options)
    ]
    cells = with_agreement(measured)
    rungs = options.rungs or ({cell.rung for cell in cells} if cells else set(_RUNGS))
    others = [cell for cell in known if cell.rung in rungs]
    written = [] if options.out is None else [write_text(options.out, cells_csv(cells))]
    return {
        "cells": [asdict(cell) for cell in cells],
        "recorded": [asdict(cell) for cell in others],
        "files": [str(path) for path in written],
    }


def _measured(options: Options) -> Iterator[Any]:
    """Yields the cells and their directions, with progress."""
    from ganspace_topdis.runs.devices import tune_malloc
    from ganspace_topdis.runs.progress import ProgressReporter
    from stylegan2.bench.methods import bench_files, bench_function, load_function

    tune_malloc()
    if not options.methods:
        return
    rungs = options.rungs or _RUNGS
    if _is_function(options.methods[0]):
        name = options.methods[0]
        cells = bench_function(load_function(name), name, rungs, options.seeds)
        total = len(rungs) * len(options.seeds)
    else:
        cells = bench_files([Path(each) for each in options.methods], options.rungs)
        total = len(options.methods)
    with ProgressReporter("bench, cells") as progress:
        for done, measured in enumerate(cells):
            progress(done + 1, max(total, done + 1))
            yield measured


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """A table per rung, notes on its rows and differences, then the files."""
    from ganspace_topdis.report import table
    from stylegan2.bench.methods import WITH_TRUTH, Cell, tables

    cells = [Cell(**row) for row in (*record["cells"], *record["recorded"])]
    own = {row["method"] for row in record["cells"]}
    notes, base = ["* scored now."] if own else [], options.baseline
    compared = {cell.rung for cell in cells if cell.method == base}
    if compared:
        notes.append(f"Differences to {base}: means over equal seeds, with the 95 % interval of five or more.")
    if others := [rung for rung in _RUNGS if rung in {cell.rung for cell in cells} - compared]:
        notes.append(f"{base} was not run on {', '.join(others)}, so nothing is compared there.")
    if any(cell.method in WITH_TRUTH for cell in cells):
        notes.append("The oracle and the ceilings, last in a table, have seen the factors.")
    shown = [table.to_text(each) for each in tables(cells, sorted(own), baseline=base)]
    return "\n".join(["\n\n".join(shown), *notes, *record["files"]])


COMMANDS: dict[str, Command] = {
    "directions": Command(
        options=Options,
        run=run,
        to_text=to_text,
        help="""Score a method of finding directions on generators whose factors are known.

        The function takes (space, num_directions, seed) and returns vectors (K, D).
        Recorded methods stand beside it.""",
        examples=(
            "topdis-gan bench directions mymethod:find --rungs scenes --seeds 0-2",
            "topdis-gan bench directions runs/scenes-64-topdis --out scores.csv",
            "topdis-gan bench directions",
        ),
        groups=("Main",),
    ),
}
"""The subcommands by name."""
