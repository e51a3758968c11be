"""Curves of a training log as SVG text: a small panel a quantity, nothing to install and nothing to load."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ganspace_topdis.traversal.labels import format_number, score_name

__all__ = ["draw_curves"]

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 300, 150, 48, 22, 18
_MAX_POINTS = 400
_LOG_RATIO = 50.0
_NAMES = {"kl": "KL", "tc": "TC", "topdis": "TopDis"}


def draw_curves(rows: Sequence[Mapping[str, Any]]) -> str:
    """A panel for every quantity of a log over its steps; empty without any.

    A quantity that is always positive and spans more than a factor of 50 gets a logarithmic axis. Entries that are
    not finite numbers are left out.

    Args:
        rows: of metrics.jsonl, each with its "step".

    >>> draw_curves([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]).count("<svg")
    1
    """
    names = list(dict.fromkeys(name for row in rows for name in row if name != "step"))
    panels = []
    for name in names:
        points = [(int(row["step"]), float(row[name])) for row in rows if _is_finite(row.get(name))]
        if len(points) > 1:
            panels.append(_panel(name, points[:: math.ceil(len(points) / _MAX_POINTS)]))
    return "\n".join(panels)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _panel(name: str, points: Sequence[tuple[int, float]]) -> str:
    values = [value for _, value in points]
    logarithmic = min(values) > 0 and max(values) > _LOG_RATIO * min(values)
    heights = [math.log(value) for value in values] if logarithmic else values
    low, high = min(heights), max(heights)
    first, last = points[0][0], points[-1][0]
    path = " ".join(
        f"{_LEFT + (_WIDTH - _LEFT - 6) * (step - first) / max(last - first, 1):.1f},"
        f"{_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - (y - low) / (high - low or 1)):.1f}"
        for (step, _), y in zip(points, heights, strict=True)
    )
    title = html.escape(_NAMES.get(name, score_name(name)) + (", log scale" if logarithmic else ""))
    floor = _HEIGHT - _BOTTOM
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{title}">'
        f'<text x="{_LEFT}" y="14" class=t>{title}</text>'
        f'<text x="{_LEFT - 4}" y="{_TOP + 8}" class=n>{format_number(max(values))}</text>'
        f'<text x="{_LEFT - 4}" y="{floor}" class=n>{format_number(min(values))}</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}" class=s>{first}</text>'
        f'<text x="{_WIDTH - 6}" y="{_HEIGHT - 4}" class=n>{last}</text>'
        f'<path d="M{_LEFT} {_TOP}V{floor}H{_WIDTH - 6}" class=a /><polyline points="{path}" class=c /></svg>'
    )
