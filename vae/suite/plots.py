"""The plots of a report, with matplotlib (extra: plot): scores by seed, paired differences, curves, correlations."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ganspace_topdis.errors import MissingDependencyError
from vae.evaluation.metrics import metric_name
from vae.suite.results import CellResult, Setting, SuiteResults, settings_in_order
from vae.suite.statistics import Difference, compare, correlate
from vae.suite.tables import setting_name, shown_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_correlations", "draw_curves", "draw_differences", "draw_scores"]

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933")
"""Okabe and Ito's palette, which color-blind readers can distinguish."""
_MARKERS = "os^Dv<>P"
_NUM_COLUMNS = 3

_PAIR_COLOR = "#56687a"
_PITCH, _PITCH_MIN, _LINES_HEIGHT = 0.07, 0.03, 7.0
"""Inches between the lines of two pairs; less if all lines together would be higher than `_LINES_HEIGHT`."""
_MEAN_HEIGHT, _GAP = 0.13, 0.15


def draw_scores(results: SuiteResults) -> bytes:
    """Draw one panel per metric: a point per seed, one column per setting, the mean as a line. PNG.

    If the suite compares variants, they are side by side, and the points of one seed are connected.
    """
    metrics = shown_metrics(results.records)
    groups = _groups(results)
    figure, panels = _panels(len(metrics), height=_scores_height(groups))
    variants = _variants(results)
    for panel, metric in zip(panels, metrics, strict=False):
        for x, group in enumerate(groups):
            _draw_group(panel, results, metric, x, group, variants)
        panel.set_title(metric_name(metric), fontsize=9)
        _name_columns(panel, [setting_name(group) for group in groups])
    if len(variants) > 1:
        handles = [_handle(k, name) for k, name in enumerate(variants)]
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(variants), 5), frameon=False)
    return _png(figure)


def draw_differences(results: SuiteResults) -> bytes | None:
    """Draw one panel per metric: variant - baseline, a line per pair, mean and interval (PNG); None without any."""
    if results.axis is None:
        return None
    metrics = shown_metrics(results.records)
    found = [compare(results.records, metric, axis=results.axis, baseline=results.baseline) for metric in metrics]
    if not any(difference.values for differences in found for difference in differences):
        return None
    rows = _pair_rows(found)
    figure, panels = _panels(len(metrics), height=0.55 + rows[-1].end, wide=True)
    for place, (panel, metric, differences) in enumerate(zip(panels, metrics, found, strict=False)):
        panel.axvline(0, color="#888", linewidth=0.8, zorder=1)
        for row, difference in zip(rows, differences, strict=True):
            _draw_difference(panel, row, difference)
        panel.set_title(metric_name(metric), fontsize=10)
        _name_rows(panel, rows, named=place % _NUM_COLUMNS == 0)
        panel.set_ylim(rows[-1].end, 0)
        panel.tick_params(axis="x", labelsize=8)
        panel.locator_params(axis="x", nbins=5)
    return _png(figure)


def draw_curves(results: SuiteResults) -> bytes | None:
    """Draw MIG by step, a panel per group (PNG): each seed faintly, and the mean; None without curves.

    The mean is of the seeds that all variants with curves have, so that variants are compared on the same ones.
    """
    groups = [
        group for group in _groups(results) if any(r.curve and _rest(r, results) == group for r in results.records)
    ]
    if not groups:
        return None
    figure, panels = _panels(len(groups), height=2.6)
    variants = _variants(results)
    for panel, group in zip(panels, groups, strict=False):
        of_variants = [
            {record.seed: dict(record.curve) for record in _records_of(results, group, variant) if record.curve}
            for variant in variants
        ]
        shared = set.intersection(*(set(curves) for curves in of_variants if curves))
        for k, (variant, curves) in enumerate(zip(variants, of_variants, strict=True)):
            if not curves:
                continue
            for curve in curves.values():
                panel.plot(list(curve), list(curve.values()), color=_color(k), linewidth=0.5, alpha=0.4)
            meant = [curve for seed, curve in curves.items() if seed in shared]
            steps = [step for step in meant[0] if all(step in curve for curve in meant)] if meant else []
            means = [sum(curve[step] for curve in meant) / len(meant) for step in steps]
            panel.plot(steps, means, color=_color(k), linewidth=1.8, label=variant or "mean")
        panel.set_title(setting_name(group), fontsize=9)
        panel.set_xlabel("step", fontsize=8)
        panel.set_ylabel(metric_name("mig"), fontsize=8)
        panel.tick_params(labelsize=7)
        panel.locator_params(axis="x", nbins=5)
        panel.legend(frameon=False, fontsize=7)
    return _png(figure)


def draw_correlations(results: SuiteResults) -> bytes | None:
    """Draw Spearman's correlation of the metrics over the finished cells. PNG; None for fewer than three cells."""
    records = [record for record in results.records if record.state == "finished"]
    metrics = shown_metrics(results.records)
    if len(records) < 3 or len(metrics) < 2:
        return None
    matrix = correlate(records, metrics)
    names = [metric_name(metric) for metric in metrics]
    side = 2.2 + 0.38 * len(names)
    figure, [panel] = _panels(1, height=side, width=side)
    picture = panel.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r")
    panel.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    panel.set_yticks(range(len(names)), names, fontsize=7)
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            if not math.isnan(value):
                dark = abs(value) > 0.6
                panel.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=6, color="w" if dark else "k")
    figure.colorbar(picture, ax=panel, shrink=0.7, label="Spearman over cells")
    return _png(figure)


def _groups(results: SuiteResults) -> list[Setting]:
    """Return the columns of the strip plots: settings without the compared axis."""
    settings = settings_in_order(results.records)
    return list(dict.fromkeys(tuple(item for item in setting if item[0] != results.axis) for setting in settings))


def _variants(results: SuiteResults) -> list[str]:
    if results.axis is None:
        return [""]
    return list(dict.fromkeys(record.labels[results.axis] for record in results.records))


def _rest(record: CellResult, results: SuiteResults) -> Setting:
    return tuple(item for item in record.setting if item[0] != results.axis)


def _records_of(results: SuiteResults, group: Setting, variant: str) -> list[CellResult]:
    return [
        record
        for record in results.records
        if _rest(record, results) == group and record.labels.get(results.axis or "", "") == variant
    ]


def _draw_group(
    panel: "Axes", results: SuiteResults, metric: str, x: int, group: Setting, variants: Sequence[str]
) -> None:
    """Draw the points of one setting; those of one seed are connected across the variants.

    Seeds stand side by side, as equal scores would hide each other: many of the FactorVAE score are.
    """
    lines: dict[int, list[tuple[float, float]]] = {}
    width = 0.7 / len(variants)
    seeds = sorted({record.seed for record in results.records})
    places = {seed: (rank + 0.5) / len(seeds) - 0.5 for rank, seed in enumerate(seeds)}
    for k, variant in enumerate(variants):
        position = x + (k - (len(variants) - 1) / 2) * width
        points = []
        for record in _records_of(results, group, variant):
            score = record.score(metric)
            if score is not None:
                points.append((position + 0.6 * width * places[record.seed], score))
                lines.setdefault(record.seed, []).append(points[-1])
        if points:
            across, scores = zip(*points, strict=True)
            panel.scatter(across, scores, s=12, color=_color(k), marker=_marker(k), linewidths=0, zorder=3)
            mean = sum(scores) / len(scores)
            panel.plot(
                [position - width / 3, position + width / 3], [mean, mean], color=_color(k), linewidth=2, zorder=2
            )
    for points in lines.values():
        panel.plot(*zip(*points, strict=True), color="#bbb", linewidth=0.6, zorder=1)


@dataclass(frozen=True, kw_only=True)
class _PairRow:
    """One comparison in a panel of differences, which gives every pair a line of its own, and its mean one below.

    On one line, equal differences would hide each other: most of the FactorVAE score's are zero.

    Attributes:
        name: label of the row.
        seeds: seeds of the pairs in any metric, so that a seed has the same height in all panels. A row over all
            settings has none: their pairs are in the rows above.
        top: upper edge, in inches from the top of the panel.
        pitch: distance between two lines in inches.
    """

    name: str
    seeds: tuple[int, ...]
    top: float
    pitch: float

    def y(self, seed: int) -> float:
        return self.top + _GAP / 2 + (self.seeds.index(seed) + 0.5) * self.pitch

    @property
    def mean_y(self) -> float:
        return self.end - _GAP / 2 - _MEAN_HEIGHT / 2

    @property
    def center(self) -> float:
        return (self.top + self.end) / 2

    @property
    def end(self) -> float:
        return self.top + len(self.seeds) * self.pitch + _MEAN_HEIGHT + _GAP


def _pair_rows(found: Sequence[Sequence[Difference]]) -> list[_PairRow]:
    """Lay out the comparisons of all metrics, in the same order for each."""
    seeds = [tuple(sorted({seed for d in each for seed in _own_pairs(d)})) for each in zip(*found, strict=True)]
    pitch = min(_PITCH, max(_PITCH_MIN, _LINES_HEIGHT / max(sum(map(len, seeds)), 1)))
    is_one_setting = len({difference.setting for difference in found[0]}) == 1
    rows: list[_PairRow] = []
    for difference, own in zip(found[0], seeds, strict=True):
        name = difference.variant if is_one_setting else f"{difference.variant}\n{setting_name(difference.setting)}"
        rows.append(_PairRow(name=name, seeds=own, top=rows[-1].end if rows else 0.0, pitch=pitch))
    return rows


def _name_rows(panel: "Axes", rows: Sequence[_PairRow], *, named: bool) -> None:
    """Label the comparisons, and the seeds of their first and last line if these are far enough apart."""
    apart = [row for row in rows if named and row.pitch == _PITCH and len(row.seeds) > 2]
    ends = [(row.y(seed), f"seed {seed}") for row in apart for seed in (row.seeds[0], row.seeds[-1])]
    panel.set_yticks([row.center for row in rows], [row.name if named else "" for row in rows], fontsize=9)
    panel.tick_params(axis="y", length=0, pad=4 + max((6 + 4 * len(label) for _, label in ends), default=0))
    panel.set_yticks([y for y, _ in ends], [label for _, label in ends], fontsize=7, color="#666", minor=True)
    panel.tick_params(axis="y", which="minor", length=0, pad=4)


def _own_pairs(difference: Difference) -> dict[int, float]:
    """Return seed -> difference of the pairs of one setting; none for a difference over all settings."""
    return {seed: value for (rest, seed), value in difference.values.items() if rest == difference.setting}


def _draw_difference(panel: "Axes", row: _PairRow, difference: Difference) -> None:
    pairs = _own_pairs(difference)
    heights, values = [row.y(seed) for seed in pairs], list(pairs.values())
    panel.hlines(heights, 0, values, color="#ccc", linewidth=0.9, zorder=2)
    panel.scatter(values, heights, s=(72 * 0.8 * row.pitch) ** 2, color=_PAIR_COLOR, linewidths=0, zorder=3)
    if difference.mean is None:
        return
    color = "#000000" if difference.setting == () else _COLORS[1]
    if (interval := difference.interval) is not None:
        panel.plot(interval, [row.mean_y] * 2, color=color, linewidth=2, zorder=4)
    panel.scatter([difference.mean], [row.mean_y], s=32, color=color, marker="D", zorder=5)


def _panels(num: int, *, height: float, width: float | None = None, wide: bool = False) -> tuple["Figure", list[Any]]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("plots need matplotlib: pip install 'topdis-gan[plot]'") from error

    columns = min(_NUM_COLUMNS, max(num, 1))
    rows = -(-max(num, 1) // columns)
    size = ((width or (4.2 if wide else 3.4)) * columns, height * rows)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in panels[num:]:
        panel.set_visible(False)
    for panel in panels[:num]:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _name_columns(panel: "Axes", names: Sequence[str]) -> None:
    rotation = _rotation(names)
    panel.set_xticks(
        range(len(names)), names, fontsize=7, rotation=rotation, ha="right" if rotation == 35 else "center"
    )
    panel.set_xlim(-0.6, len(names) - 0.4)
    panel.tick_params(axis="y", labelsize=7)


def _rotation(names: Sequence[str]) -> int:
    """Return the angle at which the names of the columns do not overlap."""
    if len(names) == 1:
        return 0
    if len(names) > 6:
        return 90
    return 35 if max(map(len, names)) > 12 or len(names) > 4 else 0


def _scores_height(groups: Sequence[Setting]) -> float:
    """Return the height of a panel in inches, with room for the names of its columns."""
    names = [setting_name(group) for group in groups]
    return 2.4 + (0.055 if _rotation(names) == 90 else 0.02) * max(map(len, names))


def _handle(k: int, name: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=_color(k), marker=_marker(k), linewidth=2, label=name)


def _color(k: int) -> str:
    return _COLORS[k % len(_COLORS)]


def _marker(k: int) -> str:
    return _MARKERS[(k + k // len(_COLORS)) % len(_MARKERS)]


def _png(figure: "Figure") -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
