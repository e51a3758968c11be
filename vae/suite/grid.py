"""A suite as a TOML file: settings on axes, crossed with each other and with seeds.

    name = "example"
    description = "beta-VAE with and without TopDis."
    notes = ["What a reader of the report must know."]
    seeds = [0, 1, 2]
    metrics = ["mig", "dci"]                         # groups of evaluate-vae; all by default
    max_images = 50000                               # thin the grid that is encoded; whole by default
    compare = { axis = "variant", baseline = "plain" }

    [base]                                           # settings of train-vae that all cells share
    data = "dsprites"
    steps = 300000

    [axes.method.beta-VAE]                           # axis "method", label "beta-VAE"
    method = "beta-vae"
    options = { beta = 4.0 }

    [axes.variant.plain]                             # axis "variant"; nothing changes
    [axes.variant.TopDis]
    topdis = { gamma = 5.0 }

    [[where]]                                        # what only some combinations get
    labels = { variant = "TopDis", method = "beta-VAE" }
    settings = { topdis = { delay = 1000 } }

A cell is one label of each axis and a seed; its settings are those of base, of its labels in the order of the axes,
and of every `where` that fits, each overriding what came before. `read_grid` finds all faults before it complains.
"""

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.reading import ReadingError, parse_toml, read_toml
from vae.evaluation.metrics import ALL_GROUPS, unknown_groups

__all__ = ["Cell", "CheckSettings", "Grid", "parse_grid", "read_grid"]

CheckSettings = Callable[[Mapping[str, Any], Sequence[str] | None], list[str]]
"""The faults of the settings of a cell, given the metrics that are asked for."""

_KEYS = ("name", "description", "notes", "seeds", "metrics", "max_images", "compare", "base", "axes", "where")
_MANY = 20
_MOST_CELLS = 20_000


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training and its evaluation.

    Attributes:
        labels: axis -> label.
        seed: of the training.
        settings: of train-vae, without the seed.
    """

    labels: Mapping[str, str]
    seed: int
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What its folder is called.

        >>> Cell(labels={"method": "β-VAE (4)", "variant": "TopDis"}, seed=2, settings={}).name
        'b-vae-4--topdis--seed-2'
        """
        return "--".join([*(_slug(label) for label in self.labels.values()), f"seed-{self.seed}"])


@dataclass(frozen=True, kw_only=True)
class Grid:
    """All cells of a suite and what its report says about them.

    Attributes:
        name: of the suite.
        description: one or two sentences.
        notes: what a reader must know.
        cells: in the order of the report.
        metrics: groups of evaluate-vae; None for all that the data allow.
        max_images: the limit of the encoded grid; None for none.
        axis: the axis whose labels are compared; None for none.
        baseline: the label there that the others are compared with.
    """

    name: str
    description: str
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]
    metrics: tuple[str, ...] | None
    max_images: int | None
    axis: str | None
    baseline: str


def read_grid(path: Path, check: CheckSettings) -> Grid:
    """The grid in a TOML file; see `parse_grid`.

    Raises:
        InvalidArgumentError: the file cannot be read, or its faults.
    """
    try:
        document = read_toml(path)
    except ReadingError as error:
        raise InvalidArgumentError(f"suite {path} cannot be read: {error}; give a preset or a TOML file") from error
    return _grid_of(document, check, source=str(path))


def parse_grid(text: str, check: CheckSettings, *, source: str = "the grid") -> Grid:
    """The grid that a TOML text describes.

    Args:
        text: see the module.
        check: finds the faults of a cell's settings.
        source: where the text is from, for the message.

    Raises:
        InvalidArgumentError: it is no TOML, or it has faults; the message has all of them.
    """
    try:
        document = parse_toml(text)
    except ReadingError as error:
        raise InvalidArgumentError(f"suite {source} cannot be read: {error}") from error
    return _grid_of(document, check, source=source)


def _grid_of(document: dict[str, Any], check: CheckSettings, *, source: str) -> Grid:
    faults = _faults_of_form(document)
    if not faults:
        cells = _cells(document)
        faults = _faults_of_cells(cells, document.get("metrics"), check) + _faults_of_labels(document)
    if faults:
        shown = [*faults[:_MANY], *([f"and {len(faults) - _MANY} more"] if len(faults) > _MANY else [])]
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise InvalidArgumentError(f"suite {source} has {count}: {'; '.join(shown)}")
    compare, metrics = document.get("compare", {}), document.get("metrics")
    return Grid(
        name=document["name"],
        description=document.get("description", ""),
        notes=tuple(document.get("notes", ())),
        cells=tuple(cells),
        metrics=None if metrics is None else tuple(metrics),
        max_images=document.get("max_images"),
        axis=compare.get("axis"),
        baseline=compare.get("baseline", ""),
    )


def _faults_of_form(document: Mapping[str, Any]) -> list[str]:
    """What is not as the module describes it; cells can be made only without such faults."""
    faults = [f"unknown key {key!r} (known: {', '.join(_KEYS)})" for key in document if key not in _KEYS]
    faults += _faults_of_seeds(document.get("seeds"))
    if not isinstance(document.get("name"), str) or not _slug(document["name"]):
        faults.append("name must be a text with letters")
    for key in ("description",):
        if not isinstance(document.get(key, ""), str):
            faults.append(f"{key} must be a text")
    for key in ("notes", "metrics"):
        if not _is_list_of(str, document.get(key, [])):
            faults.append(f"{key} must be a list of texts")
    if not isinstance(document.get("max_images", 1), int):
        faults.append("max_images must be a whole number")
    if not isinstance(document.get("base", {}), dict):
        faults.append("base must be a table of settings")
    axes = document.get("axes")
    if not isinstance(axes, dict) or not axes:
        faults.append("axes are missing: give at least one, such as [axes.method.beta-VAE]")
    elif not all(_is_axis(axis) for axis in axes.values()):
        faults.append("every axis must have labels, and every label a table of settings")
    elif math.prod(map(len, axes.values())) * _count(document.get("seeds")) > _MOST_CELLS:
        faults.append(f"axes and seeds make more than {_MOST_CELLS:,} cells")
    rules = document.get("where", [])
    if not _is_list_of(dict, rules) or not all(map(_is_rule, rules)):
        faults.append("every [[where]] must have a table of labels and one of settings and nothing else")
    compare = document.get("compare", {})
    if (
        not isinstance(compare, dict)
        or set(compare) - {"axis", "baseline"}
        or not _is_list_of(str, [*compare.values()])
    ):
        faults.append('compare must be { axis = "...", baseline = "..." }')
    return faults


def _faults_of_seeds(seeds: Any) -> list[str]:
    if not _is_list_of(int, seeds) or not seeds or any(isinstance(seed, bool) or seed < 0 for seed in seeds):
        return ["seeds must be a list of whole numbers from 0 on, such as [0, 1, 2]"]
    twice = sorted(seed for seed, count in Counter(seeds).items() if count > 1)
    return [f"seed {seed} is there twice" for seed in twice]


def _faults_of_labels(document: Mapping[str, Any]) -> list[str]:
    """Labels that are named and do not exist."""
    axes, faults = document["axes"], []
    for rule in document.get("where", []):
        for axis, label in rule["labels"].items():
            if label not in axes.get(axis, {}):
                faults.append(f"[[where]] names {axis} = {label!r}, which does not exist")
    compare = document.get("compare", {})
    if compare and compare.get("baseline") not in axes.get(compare.get("axis"), {}):
        faults.append(f"compare names {compare.get('axis')} = {compare.get('baseline')!r}, which does not exist")
    return faults


def _faults_of_cells(cells: Sequence[Cell], metrics: Sequence[str] | None, check: CheckSettings) -> list[str]:
    faults = [f"unknown metric {name!r} (known: {', '.join(ALL_GROUPS)})" for name in unknown_groups(metrics or ())]
    known = None if metrics is None else [name for name in metrics if name in ALL_GROUPS]
    places: dict[str, list[str]] = {}
    for cell in cells:
        if cell.seed == cells[0].seed:
            for fault in check(cell.settings, known):
                places.setdefault(fault, []).append(", ".join(cell.labels.values()))
    for fault, labels in places.items():
        more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
        faults.append(f"{labels[0]}{more}: {fault}")
    return faults + _duplicates(cells)


def _duplicates(cells: Sequence[Cell]) -> list[str]:
    """Cells that are the same training, or whose folders would have the same name."""
    faults: list[str] = []
    trained: dict[str, str] = {}
    names: dict[str, str] = {}
    for cell in (cell for cell in cells if cell.seed == cells[0].seed):
        labels = ", ".join(cell.labels.values())
        key = json.dumps(cell.settings, sort_keys=True, default=str)
        if key in trained:
            faults.append(f"{labels} is the same training as {trained[key]}")
        elif cell.name in names:
            faults.append(f"{labels} and {names[cell.name]} would both be called {cell.name!r}")
        trained.setdefault(key, labels)
        names.setdefault(cell.name, labels)
    return faults


def _cells(document: Mapping[str, Any]) -> list[Cell]:
    axes, rules = document["axes"], document.get("where", [])
    cells = []
    for chosen in itertools.product(*(axis.items() for axis in axes.values())):
        labels = dict(zip(axes, (label for label, _ in chosen), strict=True))
        parts = [document.get("base", {}), *(settings for _, settings in chosen)]
        parts += [rule["settings"] for rule in rules if rule["labels"].items() <= labels.items()]
        settings: dict[str, Any] = {}
        for part in parts:
            settings = _merged(settings, part)
        cells += [Cell(labels=labels, seed=seed, settings=settings) for seed in document["seeds"]]
    return cells


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """`first` with the entries of `second` over it, tables within tables likewise."""
    merged = dict(first)
    for key, value in second.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _count(values: Any) -> int:
    return len(values) if isinstance(values, list) else 1


def _is_rule(rule: Mapping[str, Any]) -> bool:
    tables = set(rule) == {"labels", "settings"} and _is_list_of(dict, [*rule.values()])
    return tables and _is_list_of(str, [*rule["labels"].values()])


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _is_axis(axis: Any) -> bool:
    return isinstance(axis, dict) and bool(axis) and all(isinstance(settings, dict) for settings in axis.values())


def _slug(text: str) -> str:
    plain = text.lower().replace("β", "b").replace("γ", "g").replace("+", "and")
    return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")
