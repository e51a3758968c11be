"""Plain records of a suite: the status of a cell on disk, and the results that a report is computed from.

A setting is named by a label on each axis of the grid, such as {"method": "beta-VAE", "variant": "TopDis"}. The report
is computed from a list of `CellResult`, so it can be tested, and used on results from elsewhere, without a trained
network. Nothing heavy is imported here, because every worker reads and writes the status of its cells.
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.reading import read_json

__all__ = [
    "CELL_COLUMNS",
    "CURVES",
    "CellResult",
    "CellState",
    "CellStatus",
    "Setting",
    "SuiteResults",
    "axes_of",
    "metrics_of",
    "read_status",
    "request_columns",
    "settings_digest",
    "settings_in_order",
    "write_status",
]

CellState = Literal["finished", "failed", "stopped", "running", "unevaluated", "missing"]
"""Stopped: by Ctrl-C or SIGTERM, with its work saved. Unevaluated: trained, but not evaluated as the suite asks."""

CELL_COLUMNS = ("state", "duration_s", "device", "settings")
"""Columns of cells.csv after the seed; `settings` is `settings_digest`, and those of `SuiteResults.request` follow."""

CURVES = "curves.csv"
"""The file of a report that has MIG by step; its columns are the axes, seed, step and mig."""

Setting = tuple[tuple[str, str], ...]
"""The labels of a setting, axis by axis: (("method", "beta-VAE"), ("variant", "plain"))."""


@dataclass(frozen=True, kw_only=True)
class CellStatus:
    """Status of a cell, stored as a small JSON file.

    Attributes:
        state: see `CellState`.
        reason: why it failed; empty otherwise.
        attempts: number of times it was started.
        duration_s: total duration of all attempts.
        device: device and host name.
    """

    state: CellState = "missing"
    reason: str = ""
    attempts: int = 0
    duration_s: float = 0.0
    device: str = ""


def read_status(path: str | os.PathLike[str]) -> CellStatus:
    """Read a status file; returns "missing" if it does not exist or cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return CellStatus(**read_json(path))
    return CellStatus()


def write_status(path: str | os.PathLike[str], status: CellStatus) -> CellStatus:
    """Write a status file atomically; return the status.

    Raises:
        RunFolderError: the folder is read-only or the disk is full.
    """
    write_json(path, asdict(status))
    return status


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """Result of one cell.

    Attributes:
        labels: axis -> label; all results of a suite have the same axes in the same order.
        seed: seed of the training.
        state: only finished cells have scores.
        reason: why it failed; empty otherwise.
        scores: metric -> finite score.
        settings: settings of train-vae.
        duration_s: total duration of training and evaluation, all attempts; None if unknown.
        device: device it ran on.
        curve: (step, MIG) while it was trained, with `score_every`.
    """

    labels: Mapping[str, str]
    seed: int
    state: CellState = "finished"
    reason: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    duration_s: float | None = None
    device: str = ""
    curve: tuple[tuple[int, float], ...] = ()

    @property
    def setting(self) -> Setting:
        """The labels as a key."""
        return tuple(self.labels.items())

    def score(self, metric: str) -> float | None:
        """Return a score; None if the cell has none or it is not finite."""
        value = self.scores.get(metric)
        return value if self.state == "finished" and value is not None and math.isfinite(value) else None


@dataclass(frozen=True, kw_only=True)
class SuiteResults:
    """All results of a suite, and the notes that its report prints about them.

    Attributes:
        name: name of the suite.
        description: one or two sentences.
        notes: what a reader must know, such as unverified values.
        records: one result per cell, including cells that never ran.
        axis: the axis whose labels are compared; None for none.
        baseline: the label on it that the others are compared with.
        version: version of the program that produced the results.
        metrics: metric groups that were asked for; None for all that the data sets support.
        max_images: images of an evaluation at most; None for all.
    """

    name: str
    description: str = ""
    notes: tuple[str, ...] = ()
    records: tuple[CellResult, ...] = ()
    axis: str | None = None
    baseline: str = ""
    version: str = ""
    metrics: tuple[str, ...] | None = None
    max_images: int | None = None

    @property
    def request(self) -> dict[str, str]:
        """What the scores depend on besides the settings of a cell, see `request_columns`."""
        return request_columns(self.metrics, self.max_images, self.version)


def request_columns(metrics: Sequence[str] | None, max_images: int | None, version: str) -> dict[str, str]:
    """Return what scores depend on besides the settings of a cell, as columns of cells.csv.

    >>> request_columns(("mig", "sap"), None, "0.1.0")
    {'metrics': 'mig+sap', 'max_images': 'all', 'version': '0.1.0'}
    """
    return {
        "metrics": "all" if metrics is None else "+".join(metrics),
        "max_images": "all" if max_images is None else str(max_images),
        "version": version,
    }


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Return twelve hexadecimal digits of the SHA-256 of a cell's settings as they are written: 4 is not 4.0.

    >>> settings_digest({"steps": 2, "method": "vae"}) == settings_digest({"method": "vae", "steps": 2})
    True
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def axes_of(records: Sequence[CellResult]) -> tuple[str, ...]:
    """Return the axes of the grid."""
    return tuple(records[0].labels) if records else ()


def settings_in_order(records: Iterable[CellResult]) -> list[Setting]:
    """Return the distinct settings in the order of their first result."""
    return list(dict.fromkeys(record.setting for record in records))


def metrics_of(records: Iterable[CellResult]) -> list[str]:
    """Return the metrics that have a score, in the order of their first occurrence."""
    return list(dict.fromkeys(name for record in records for name in record.scores))
