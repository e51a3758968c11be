"""The benchmark of directions: anyone's method, scored on rungs of known truth beside the recorded methods.

A method is a Python function in a module that can be imported,

    find(space: BenchSpace, num_directions: int, seed: int) -> vectors (K, D),  K <= num_directions,

or one or several files of directions. Vectors may have any length and need not be orthogonal.
"""

import contextlib
import csv
import dataclasses
import importlib
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.evaluation.matching import agreement_of_each
from ganspace_topdis.evaluation.paired import mean_interval
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.report.table import Table, to_csv
from stylegan2.bench.rungs import RUNGS, SCORES, BenchSpace, HandBuilt, Rung, rung_named
from stylegan2.zoo import ASSETS

__all__ = [
    "COLUMNS",
    "WITH_TRUTH",
    "Cell",
    "Find",
    "bench_files",
    "bench_function",
    "cells_csv",
    "load_function",
    "name_of",
    "recorded",
    "tables",
    "with_agreement",
]

Find = Callable[[BenchSpace, int, int], Any]

_RECORDED = ASSETS / "directions_bench.csv"
_AGREEMENT, _SECONDS = "agreement", "seconds"

COLUMNS = (*SCORES, _AGREEMENT, _SECONDS)
"""What a table shows of a method: its scores on a rung, its agreement between seeds, and its time."""

WITH_TRUTH = ("oracle", "ceiling-span", "ceiling-w", "ceiling-w+", "ceiling-s")
"""Recorded rows that are no methods: regression on the factors, and the share itself as the objective, by space."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One method on one rung with one seed.

    Attributes:
        rung: one of `RUNGS`.
        method: its name.
        seed: of the method and of the codes that it is scored on.
        scores: by name, as in `COLUMNS`: "agreement" where it is known for several seeds, "seconds" of processor time.
    """

    rung: str
    method: str
    seed: int
    scores: dict[str, float]


def load_function(name: str) -> Find:
    """The function `module:function`; modules in the current folder are found too.

    Raises:
        InvalidArgumentError: it cannot be imported, or is not callable.
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise InvalidArgumentError(
            f"`methods` {name!r} is neither a file of directions nor a function; give module:function", field="methods"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever the module raises when it is imported
        raise InvalidArgumentError(
            f"`methods` {name}: cannot import {module_name} ({type(error).__name__}: {error})", field="methods"
        ) from error
    function = getattr(found, function_name, None)
    if not callable(function):
        raise InvalidArgumentError(f"`methods` {name}: {module_name} has no function {function_name}", field="methods")
    result: Find = function
    return result


def bench_function(
    find: Find, name: str, rungs: Sequence[str], seeds: Sequence[int]
) -> Iterator[tuple[Cell, Directions]]:
    """Yields the cell of every rung and seed, and its directions, as soon as it is measured.

    Raises:
        InvalidArgumentError: the function fails, or returns anything but finite real vectors that fit the rung.
    """
    for each in rungs:
        rung = rung_named(each)
        for seed in seeds:
            since = time.process_time()
            vectors = _called(find, name, rung, seed)
            spent = time.process_time() - since
            with _naming(name):
                directions = rung.directions_of(vectors, seed)
            scores = rung.score(directions, seed)
            yield Cell(rung=rung.name, method=name, seed=seed, scores={**scores, _SECONDS: spent}), directions


def bench_files(paths: Sequence[Path], rungs: Sequence[str] | None) -> Iterator[tuple[Cell, Directions]]:
    """Yields the cell of every file on the rungs that it fits, and its directions; the files' places are the seeds.

    The seed of a file draws the codes that it is scored on, but not the generator: files do not fit the hand-built
    rung, which has another generator with every seed.

    Args:
        paths: files of directions, or run folders.
        rungs: the rungs; None takes those whose generator the directions belong to.

    Raises:
        CheckpointError: a file cannot be read, or belongs to the generator of no rung, or of another than asked for, or
            its directions are of chosen layers.
        InvalidArgumentError: the directions are too many for the rung, or `rungs` has the hand-built one.
    """
    if HandBuilt.name in (rungs or ()):
        raise InvalidArgumentError(
            f"`rungs` has {HandBuilt.name}, whose generator depends on the seed, so that files cannot be scored on it; "
            "give a function as module:function, or leave it out",
            field="rungs",
        )
    opened = [rung_named(name) for name in rungs or RUNGS if name != HandBuilt.name]
    loaded = [Directions.load(path) for path in paths]
    for path, directions in zip(paths, loaded, strict=True):
        if directions.metadata.get("space") == "z":
            raise CheckpointError(f"{path} holds directions of z, where nothing is scored; give those of w, w+ or s")
        fitting = [rung for rung in opened if _belongs(directions, rung)]
        if not fitting or (rungs is not None and len(fitting) < len(opened)):
            missed = next(rung.name for rung in opened if rung not in fitting)
            raise CheckpointError(
                f"{path} does not belong to {f'rung {missed}' if rungs else 'any rung'}: its directions were found in "
                "another generator; give a function, which finds them anew"
            )
        if directions.metadata.get("layers") is not None:
            raise CheckpointError(f"{path} holds directions of chosen layers, and a rung moves all; find them in all")
    for seed, (path, directions) in enumerate(zip(paths, loaded, strict=True)):
        for rung in (each for each in opened if _belongs(directions, each)):
            with _naming(str(path)):
                rung.check(directions.vectors, seed)
            scores = rung.score(directions, seed)
            yield Cell(rung=rung.name, method=name_of(path), seed=seed, scores=scores), directions


def with_agreement(measured: Iterable[tuple[Cell, Directions]]) -> list[Cell]:
    """The cells, each with the mean |cos| of its directions with the matched ones of the method's other seeds.

    On the hand-built rung, whose generator depends on the seed, and with one seed there is none.
    """
    groups: dict[tuple[str, str, int], list[tuple[Cell, Directions]]] = {}
    for cell, directions in measured:
        groups.setdefault((cell.rung, cell.method, directions.code_dim), []).append((cell, directions))
    cells = []
    for (rung, _, _), group in groups.items():
        for cell, directions in group:
            others = [other for _, other in group if other is not directions]
            if not others or rung == HandBuilt.name:
                cells.append(cell)
                continue
            agreement = statistics.fmean(each for each in agreement_of_each(directions, others) if each is not None)
            cells.append(dataclasses.replace(cell, scores={**cell.scores, _AGREEMENT: agreement}))
    return cells


def recorded() -> list[Cell]:
    """The cells of this project's methods, which `benchmarks/directions.py` measured."""
    with _RECORDED.open(encoding="utf-8", newline="") as file:
        return [
            Cell(
                rung=row["rung"],
                method=row["method"],
                seed=int(row["seed"]),
                scores={name: float(row[name]) for name in COLUMNS if row[name]},
            )
            for row in csv.DictReader(file)
        ]


def cells_csv(cells: Iterable[Cell]) -> str:
    """A row per cell: rung, method, seed, and the scores, empty where a rung has none."""
    rows = [
        [cell.rung, cell.method, cell.seed, *(f"{cell.scores[n]:.4f}" if n in cell.scores else "" for n in COLUMNS)]
        for cell in cells
    ]
    return to_csv(("rung", "method", "seed", *COLUMNS), rows)


def tables(cells: Sequence[Cell], own: Sequence[str] = (), *, baseline: str | None = None) -> list[Table]:
    """A table per rung: mean and standard deviation over seeds, best first, then rows that have seen the truth.

    A star stands at the names in `own`. With `baseline`, a method, a column has the differences to it in the first
    score, paired by seed: their mean, and from five pairs on its 95 % interval.
    """
    return [
        _table(rung, [cell for cell in cells if cell.rung == rung], own, baseline)
        for rung in RUNGS
        if any(cell.rung == rung for cell in cells)
    ]


def _table(rung: str, cells: Sequence[Cell], own: Sequence[str], baseline: str | None) -> Table:
    names = [name for name in COLUMNS if any(name in cell.scores for cell in cells)]
    methods: dict[str, list[Cell]] = {}
    for cell in cells:
        methods.setdefault(cell.method, []).append(cell)
    ordered = sorted(methods, key=lambda method: (method in WITH_TRUTH, -_mean(methods[method], names[0])))
    base = methods.get(baseline or "", [])
    rows = []
    for method in ordered:
        mark = " *" if method in own else ""
        values = [_written(methods[method], name) for name in names]
        if base:
            values.insert(1, "" if method == baseline else _difference(methods[method], base, names[0]))
        rows.append((f"{method}{mark}", str(len(methods[method])), *values))
    headings = [SCORES.get(name, name) for name in names]
    if base:
        headings.insert(1, f"{headings[0]} - {baseline}")
    return Table(title=f"rung {rung}", header=("method", "seeds", *headings), rows=tuple(rows))


def _difference(cells: Sequence[Cell], base: Sequence[Cell], name: str) -> str:
    """The differences in a score, paired by seed."""
    values, known = ({cell.seed: cell.scores[name] for cell in each if name in cell.scores} for each in (cells, base))
    differences = [value - known[seed] for seed, value in values.items() if seed in known]
    if not differences:
        return ""
    interval = mean_interval(differences)
    shown = "" if interval is None else f" ({interval[0]:.3f} to {interval[1]:.3f})"
    return f"{statistics.fmean(differences):+.3f}{shown}"


def _mean(cells: Sequence[Cell], name: str) -> float:
    values = [cell.scores[name] for cell in cells if name in cell.scores]
    return statistics.fmean(values) if values else float("-inf")


def _written(cells: Sequence[Cell], name: str) -> str:
    values = [cell.scores[name] for cell in cells if name in cell.scores]
    if not values:
        return ""
    if name == _SECONDS:
        return f"{statistics.fmean(values):.0f}"
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"


def _called(find: Find, name: str, rung: Rung, seed: int) -> Tensor:
    try:
        found = find(rung.space(seed), rung.num_directions, seed)
    except (Exception, SystemExit) as error:  # whatever the method raises
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
        raise InvalidArgumentError(
            f"{name} failed on rung {rung.name}, seed {seed}: {type(error).__name__}: {error} ({where})"
        ) from error
    try:
        vectors = torch.as_tensor(found).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidArgumentError(
            f"{name} returned {type(found).__name__} on rung {rung.name}; return vectors (K, D), a tensor or an array"
        ) from error
    if vectors.is_complex():
        raise InvalidArgumentError(f"{name} returned complex vectors on rung {rung.name}; return real ones")
    return vectors.float()


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Begin the message of an error with the method."""
    try:
        yield
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{name}: {error}") from error


def _belongs(directions: Directions, rung: Rung) -> bool:
    """Whether the directions were found in the generator of the rung."""
    found_in = directions.metadata.get("checkpoint_sha256")
    return found_in is not None and found_in == rung.checkpoint_sha256 and directions.code_dim in rung.widths


def name_of(path: Path) -> str:
    """The folder of a run, or the name of a file."""
    folder = path if path.is_dir() else path.parent
    return folder.resolve().name if path.is_dir() or path.name == "directions.safetensors" else path.stem
