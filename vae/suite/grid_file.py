"""A suite as a TOML file: settings on axes, crossed with each other and with seeds.

    name = "example"
    description = "beta-VAE with and without TopDis."
    notes = ["What a reader of the report must know."]
    seeds = [0, 1, 2]
    metrics = ["mig", "dci"]                         # metric groups of evaluate-vae; default: all
    max_images = 50000                               # thin the encoded factor grid; default: all of it
    compare = { axis = "variant", baseline = "plain" }

    [base]                                           # settings of all cells: the fields of TrainSettings
    data = "dsprites"
    steps = 300000

    [axes.method.beta-VAE]                           # axis "method", label "beta-VAE"
    method = "beta-vae"
    options = { beta = 4.0 }

    [axes.variant.plain]                             # axis "variant"; changes nothing
    [axes.variant.TopDis]
    topdis = { weight = 5.0 }                        # the fields of TopDisSettings

    [[where]]                                        # settings of some combinations only
    labels = { variant = "TopDis", method = ["beta-VAE"] }  # a label, or several
    settings = { topdis = { delay = 1000 } }

A cell is one label of each axis and a seed. Its settings are those of base, of its labels in the order of the axes, and
of every matching `where`, each overriding those before it. All errors of a file are collected into one message. The
presets in `grids/NAME.toml` come with the package.
"""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.options import MAX_SEED, nearest
from ganspace_topdis.runs.reading import ReadingError, parse_toml, read_toml
from vae.data.opening import check_name
from vae.evaluation.metrics import ALL_GROUPS, GROUPS_WITH_FACTORS, EvaluationSettings
from vae.settings import TopDisSettings, TrainSettings
from vae.suite.grid import Cell, Grid, build_cells, listed_labels, slug
from vae.suite.results import CELL_COLUMNS, request_columns

__all__ = ["GridFileError", "find_grid", "parse_grid", "preset_names", "preset_text", "read_grid", "validate_settings"]

_KEYS = ("name", "description", "notes", "seeds", "metrics", "max_images", "compare", "base", "axes", "where")
_MAX_SHOWN = 20
_MAX_CELLS = 20_000
_MAX_NAME_BYTES = 200  # file systems allow 255; the files of a cell have endings


class GridFileError(TopdisError):
    """A file cannot be read as a grid at all: not TOML, too large, or too deeply nested."""


def find_grid(name: str) -> Grid:
    """Return the grid of a preset, or of a TOML file.

    Raises:
        InvalidArgumentError: there is neither, or the grid has errors.
        GridFileError: the file cannot be read.
    """
    if name in preset_names():
        return parse_grid(preset_text(name), source=name)
    if not Path(name).is_file():
        raise InvalidArgumentError(
            f"suite {name!r} is neither a preset ({', '.join(preset_names())}) nor a file; give one of them"
            f"{nearest(name, preset_names())}"
        )
    return read_grid(Path(name))


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets.

    >>> "quick" in preset_names()
    True
    """
    entries = resources.files("vae.suite").joinpath("grids").iterdir()
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml")))


def preset_text(name: str) -> str:
    """Return the TOML of a preset, to read or to start a grid from."""
    return resources.files("vae.suite").joinpath("grids", f"{name}.toml").read_text(encoding="utf-8")


def read_grid(path: Path) -> Grid:
    """Read the grid in a TOML file; see `parse_grid`.

    Raises:
        InvalidArgumentError: the file cannot be opened, or the grid has errors.
        GridFileError: the file is not TOML, too large, or too deeply nested.
    """
    if not path.is_file():
        raise InvalidArgumentError(f"suite {path} is not a file; give a preset or a TOML file")
    try:
        document = read_toml(path)
    except ReadingError as error:
        raise GridFileError(f"suite {path} cannot be read: {error}; give a preset or a TOML file") from error
    return _build_grid(document, str(path))


def parse_grid(text: str, *, source: str = "the grid") -> Grid:
    """Parse the grid that a TOML text describes.

    Args:
        text: see the module.
        source: where the text is from, for messages.

    Raises:
        InvalidArgumentError: the grid has errors; the message lists all of them.
        GridFileError: the text is not TOML, or too deeply nested.
    """
    try:
        document = parse_toml(text)
    except ReadingError as error:
        raise GridFileError(f"suite {source} cannot be read: {error}") from error
    return _build_grid(document, source)


def validate_settings(settings: Mapping[str, Any], metrics: Sequence[str] | None) -> list[str]:
    """Return the errors in the settings of a cell that is evaluated by `metrics`, without training anything."""
    errors = ["seed is set by the suite, not by a cell"] if "seed" in settings else []
    errors += _unknown_names("setting", settings, TrainSettings)
    topdis = settings.get("topdis")
    if topdis is not None and not isinstance(topdis, Mapping):
        return [*errors, "topdis must be a table, such as { weight = 5.0 }"]
    errors += _unknown_names("topdis setting", topdis or {}, TopDisSettings)
    if not errors:
        try:
            TrainSettings.from_tables(settings, seed=0)
        except (InvalidArgumentError, TypeError) as error:
            errors.append(_as_key(error))
    return errors + _validate_data(str(settings.get("data", TrainSettings.data)), metrics)


def _build_grid(document: Mapping[str, Any], source: str) -> Grid:
    errors, cells = _validate_form(document), []
    if not errors:
        cells = build_cells(
            base=document.get("base", {}),
            axes=document["axes"],
            rules=document.get("where", []),
            seeds=document["seeds"],
        )
        errors = _validate_cells(cells, document.get("metrics")) + _validate_labels(document)
    if errors:
        more = [f"and {len(errors) - _MAX_SHOWN} more"] if len(errors) > _MAX_SHOWN else []
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        shown = " ".join("; ".join([*errors[:_MAX_SHOWN], *more]).splitlines())
        raise InvalidArgumentError(f"suite {source} has {count}: {shown}")
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


def _validate_form(document: Mapping[str, Any]) -> list[str]:
    """Return the errors in the structure of a document; cells are built only without them."""
    errors = [f"unknown key {key!r} (known: {', '.join(_KEYS)})" for key in document if key not in _KEYS]
    errors += _validate_seeds(document.get("seeds"))
    if not isinstance(document.get("name"), str) or not slug(document["name"]):
        errors.append("name must be a text with letters")
    if not isinstance(document.get("description", ""), str):
        errors.append("description must be a text")
    for key in ("notes", "metrics"):
        if not _is_list_of(str, document.get(key, [])):
            errors.append(f"{key} must be a list of texts")
    errors += _validate_max_images(document.get("max_images"))
    errors += [f"an axis cannot be called {name!r}, which is a column of cells.csv" for name in _reserved(document)]
    if not isinstance(document.get("base", {}), dict):
        errors.append("base must be a table of settings")
    axes = document.get("axes")
    if not isinstance(axes, dict) or not axes:
        errors.append("axes are missing; give at least one, such as [axes.method.beta-VAE]")
    elif not all(_is_axis(axis) for axis in axes.values()):
        errors.append("every axis must have labels, and every label a table of settings")
    elif not errors and math.prod(map(len, axes.values())) * len(document["seeds"]) > _MAX_CELLS:
        errors.append(f"axes and seeds must span at most {_MAX_CELLS:,} cells")
    rules = document.get("where", [])
    if not _is_list_of(dict, rules) or not all(_is_rule(rule) for rule in rules):
        errors.append(
            "every [[where]] must have tables of labels (a label or a list of labels of an axis) and settings, "
            "and nothing else"
        )
    compare = document.get("compare", {})
    if not isinstance(compare, dict) or not _is_table_of_texts(compare) or compare.keys() - {"axis", "baseline"}:
        errors.append('compare must be { axis = "...", baseline = "..." }')
    return errors


def _reserved(document: Mapping[str, Any]) -> list[str]:
    """Return the names of axes that are those of other columns in the tables of a report."""
    axes, request = document.get("axes"), request_columns(None, None, "")
    columns = {"seed", *CELL_COLUMNS, *request, "metric", "score", "step", "mig"}
    return [name for name in axes if name in columns] if isinstance(axes, dict) else []


def _validate_seeds(seeds: Any) -> list[str]:
    if not _is_list_of(int, seeds) or not seeds or any(isinstance(seed, bool) or seed < 0 for seed in seeds):
        return ["seeds must be a list of non-negative integers, such as [0, 1, 2]"]
    if max(seeds) > MAX_SEED:
        return [f"seed {max(seeds)} is not allowed; seeds are 0 to {MAX_SEED}"]
    return [f"seed {seed} is listed twice" for seed, count in sorted(Counter(seeds).items()) if count > 1]


def _validate_max_images(max_images: Any) -> list[str]:
    if max_images is None:
        return []
    if not isinstance(max_images, int):
        return ["max_images must be an integer"]
    try:
        EvaluationSettings(max_images=max_images)
    except InvalidArgumentError as error:
        return [_as_key(error)]
    return []


def _validate_labels(document: Mapping[str, Any]) -> list[str]:
    """Return the labels that are named but do not exist."""
    axes, errors = document["axes"], []
    for rule in document.get("where", []):
        for axis, wanted in rule["labels"].items():
            missing = [label for label in listed_labels(wanted) if label not in axes.get(axis, {})]
            errors += [f"[[where]] names {axis} = {label!r}, which does not exist" for label in missing]
    compare = document.get("compare", {})
    if compare and compare.get("baseline") not in axes.get(compare.get("axis"), {}):
        errors.append(f"compare names {compare.get('axis')} = {compare.get('baseline')!r}, which does not exist")
    return errors


def _validate_cells(cells: Sequence[Cell], metrics: Sequence[str] | None) -> list[str]:
    unknown = [name for name in metrics or () if name not in ALL_GROUPS]
    errors = [f"unknown metric {name!r} (known: {', '.join(ALL_GROUPS)})" for name in unknown]
    known = None if metrics is None else [name for name in metrics if name in ALL_GROUPS]
    cells_by_error: dict[str, list[str]] = {}
    for cell in cells:
        if cell.seed == cells[0].seed:
            for error in validate_settings(cell.settings, known):
                cells_by_error.setdefault(error, []).append(", ".join(cell.labels.values()))
    for error, labels in cells_by_error.items():
        more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
        errors.append(f"{labels[0]}{more}: {error}")
    return errors + _find_duplicates(cells)


def _find_duplicates(cells: Sequence[Cell]) -> list[str]:
    """Return the cells that are the same training, or whose folders would have the same name."""
    errors: list[str] = []
    trained: dict[str, str] = {}
    names: dict[str, str] = {}
    for cell in (cell for cell in cells if cell.seed == cells[0].seed):
        labels = ", ".join(cell.labels.values())
        key = _identity(cell.settings)
        if key in trained:
            errors.append(f"{labels} is the same training as {trained[key]}")
        elif len(cell.name.encode()) > _MAX_NAME_BYTES:
            errors.append(f"the labels {labels[:40]!r}... are too long for the name of a folder; shorten them")
        elif cell.name in names:
            errors.append(f"{labels} and {names[cell.name]} would both be called {cell.name!r}")
        trained.setdefault(key, labels)
        names.setdefault(cell.name, labels)
    return errors


def _identity(settings: Mapping[str, Any]) -> str:
    """Return a text that is the same for settings of the same training, with defaults given or left out."""
    try:
        whole = TrainSettings.from_tables(settings, seed=0).as_config()
    except (InvalidArgumentError, TypeError):
        whole = dict(settings)
    text = json.dumps(whole, sort_keys=True, default=str)
    return json.dumps(json.loads(text, parse_int=float))  # 4 and 4.0 are the same setting


def _validate_data(name: str, metrics: Sequence[str] | None) -> list[str]:
    try:
        data = check_name(name)
    except InvalidArgumentError as error:
        return [str(error)]
    supervised = [metric for metric in metrics or () if metric in GROUPS_WITH_FACTORS]
    if supervised and not data.factors:
        return [f"{name} has no known factors, so {', '.join(supervised)} cannot be computed"]
    return []


def _unknown_names(what: str, given: Mapping[str, Any], kind: type) -> list[str]:
    known = [field.name for field in dataclasses.fields(kind)]
    return [f"unknown {what} {name!r}{nearest(name, known)}" for name in given if name not in known]


def _as_key(error: Exception) -> str:
    """Return a message about a setting as one about a key of the file, which is no option of the command line."""
    return str(error).replace("`", "")


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _is_table_of_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def _is_axis(axis: Any) -> bool:
    return isinstance(axis, dict) and bool(axis) and all(isinstance(settings, dict) for settings in axis.values())


def _is_rule(rule: Mapping[str, Any]) -> bool:
    return (
        rule.keys() == {"labels", "settings"}
        and isinstance(rule["labels"], dict)
        and all(isinstance(label, str) or (label and _is_list_of(str, label)) for label in rule["labels"].values())
        and isinstance(rule["settings"], dict)
    )
