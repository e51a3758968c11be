"""A record of one cell of a suite: which setting and seed, how it ended, what it scored. Plain numbers only.

A setting is named by a label on each axis of the grid, such as {"method": "beta-VAE", "variant": "TopDis"}.
Everything that the report computes starts from a list of these records, so that it can be tested, and used on
results from elsewhere, without a single trained network.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["CellState", "Record", "Results", "Setting", "axes_of", "metrics_of", "settings_in_order"]

CellState = Literal["finished", "failed", "stopped", "running", "missing"]
"""Stopped: by Ctrl-C or SIGTERM, with its work saved."""

Setting = tuple[tuple[str, str], ...]
"""The labels of a setting, axis by axis: (("method", "beta-VAE"), ("variant", "plain"))."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One cell.

    Attributes:
        labels: axis -> label; the axes are the same, in the same order, in all records of a suite.
        seed: of the training.
        state: only a finished cell has scores.
        reason: why it failed; empty otherwise.
        scores: metric -> number; numbers that are not finite were left out by whoever wrote them.
        settings: what was trained, as `train-vae` takes it.
        duration_s: training and evaluation together, all attempts added; None where nothing is known.
        device: what it ran on.
    """

    labels: Mapping[str, str]
    seed: int
    state: CellState = "finished"
    reason: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    duration_s: float | None = None
    device: str = ""

    @property
    def setting(self) -> Setting:
        """The labels as a key."""
        return tuple(self.labels.items())

    def score(self, metric: str) -> float | None:
        """The score, None where the cell has none or it is not finite."""
        value = self.scores.get(metric)
        return value if self.state == "finished" and value is not None and math.isfinite(value) else None


@dataclass(frozen=True, kw_only=True)
class Results:
    """All cells of a suite, and what its report says about them.

    Attributes:
        name: of the suite.
        description: one or two sentences.
        notes: what a reader must know, such as values that no source confirms.
        records: one a cell, also of those that never ran.
        axis: the axis whose labels are compared; None where nothing is compared.
        baseline: the label on that axis that the others are compared with.
        version: of the program that made the results.
    """

    name: str
    description: str = ""
    notes: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    axis: str | None = None
    baseline: str = ""
    version: str = ""


def axes_of(records: Sequence[Record]) -> tuple[str, ...]:
    """The axes of the records' grid."""
    return tuple(records[0].labels) if records else ()


def settings_in_order(records: Iterable[Record]) -> list[Setting]:
    """The settings that occur, each once, in the order of their first record."""
    return list(dict.fromkeys(record.setting for record in records))


def metrics_of(records: Iterable[Record]) -> list[str]:
    """The metrics that at least one record has a score for, in the order of their first occurrence."""
    return list(dict.fromkeys(name for record in records for name in record.scores))
