"""The grid of a suite: all combinations of settings on its axes, crossed with seeds. `grid_file` reads it from TOML."""

import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from vae.data.opening import find_info
from vae.settings import TrainSettings

__all__ = ["Cell", "Grid", "build_cells", "data_root_for", "listed_labels", "slug"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training and its evaluation.

    Attributes:
        labels: axis -> label.
        seed: seed of the training.
        settings: settings of train-vae without the seed, as `TrainSettings.from_tables` takes them.
    """

    labels: Mapping[str, str]
    seed: int
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of its folder.

        >>> Cell(labels={"method": "β-VAE (4)", "variant": "TopDis"}, seed=2, settings={}).name
        'b-vae-4--topdis--seed-2'
        """
        return "--".join([*(slug(label) for label in self.labels.values()), f"seed-{self.seed}"])


@dataclass(frozen=True, kw_only=True)
class Grid:
    """All cells of a suite, and the notes that its report prints about them.

    Attributes:
        name: name of the suite.
        description: one or two sentences.
        notes: what a reader must know.
        cells: in the order of the report.
        metrics: metric groups of evaluate-vae; None for all that the data sets support.
        max_images: limit of the encoded grid; None for none.
        axis: the axis whose labels are compared; None for none.
        baseline: the label on it that the others are compared with.
    """

    name: str
    description: str
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]
    metrics: tuple[str, ...] | None
    max_images: int | None
    axis: str | None
    baseline: str

    def names_like(self, pattern: str | None) -> set[str]:
        """Return the names of the cells that match a pattern such as "*--topdis--seed-0"; all of them for None.

        Raises:
            InvalidArgumentError: no cell has such a name.
        """
        found = {cell.name for cell in self.cells if pattern is None or fnmatchcase(cell.name, pattern)}
        if not found and pattern is not None:
            raise InvalidArgumentError(
                f"`only` {pattern} matches no cell of {self.name}; a name is such as {self.cells[0].name}", field="only"
            )
        return found


def build_cells(
    *,
    base: Mapping[str, Any],
    axes: Mapping[str, Mapping[str, Mapping[str, Any]]],
    rules: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
) -> list[Cell]:
    """Return one cell for every combination of labels and every seed.

    Args:
        base: settings of all cells.
        axes: axis -> label -> settings.
        rules: settings of some combinations: {"labels": axis -> a label or a list of labels, "settings": ...}.
        seeds: seeds of the trainings.
    """
    cells = []
    for chosen in itertools.product(*(axis.items() for axis in axes.values())):
        labels = dict(zip(axes, (label for label, _ in chosen), strict=True))
        settings: dict[str, Any] = {}
        for part in _layers(base, [settings for _, settings in chosen], rules, labels):
            settings = _merge(settings, part)
        cells += [Cell(labels=labels, seed=seed, settings=settings) for seed in seeds]
    return cells


def data_root_for(settings: Mapping[str, Any], root: Path | None) -> Path | None:
    """Return `root` for a cell whose data set is read from files; None for a procedural one."""
    return root if find_info(str(settings.get("data", TrainSettings.data))).files else None


def slug(text: str) -> str:
    """Return `text` as part of a file name: letters and digits of any script, and points.

    >>> slug("TopDis + β"), slug("TopDis, λ = 0.5")
    ('topdis-and-b', 'topdis-λ-0.5')
    """
    plain = unicodedata.normalize("NFKC", text).lower().replace("β", "b").replace("γ", "g").replace("+", "and")
    return re.sub(r"(?:[^\w.]|_)+", "-", plain).strip("-.")


def _layers(
    base: Mapping[str, Any],
    chosen: Sequence[Mapping[str, Any]],
    rules: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
) -> Iterator[Mapping[str, Any]]:
    """Yield the settings of a cell, each overriding those before it."""
    yield base
    yield from chosen
    for rule in rules:
        if all(labels.get(axis) in listed_labels(wanted) for axis, wanted in rule["labels"].items()):
            yield rule["settings"]


def listed_labels(wanted: str | list[str]) -> list[str]:
    """Return the labels that a rule names for an axis."""
    return [wanted] if isinstance(wanted, str) else wanted


def _merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return `first` with the entries of `second` over it, merging tables within tables."""
    merged = dict(first)
    for key, value in second.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
