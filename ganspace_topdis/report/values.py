"""Values as text: names of scores, numbers, shifts and settings, with the same words on every page and in tables."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "MISSING",
    "SCORE_NOTES",
    "format_factor",
    "format_number",
    "format_setting",
    "format_shift",
    "score_name",
    "score_note",
]

WEAK_SHARE = 0.35
"""Below this share, a matched factor is a guess."""

MISSING = "—"
"""Stands for a value that does not exist."""

SCORE_NOTES: dict[str, tuple[str, str]] = {
    "score": ("Score", "1 - overlap, by which directions are ranked; higher is better"),
    "rank": ("Rank", "place by score among the directions of the run; 1 is the best"),
    "chance": ("Chance", "p value against random directions; above 0.1 a direction is no better than chance"),
    "mixed": ("Mixed", "how far shifts along two directions do not add up, at equal effect; lower is better"),
    "overlap": ("Overlap", "how far directions change the same features, at equal effect; lower is better"),
    "amount": ("Amount", "standard deviations that have the effect at which directions are judged"),
    "unit": ("Unit", "standard deviations of the code in one unit of a shift; units change the images about equally"),
    "rtd_before": (
        "RTD before",
        "topological change by a shift of equal effect, in the starting basis; lower is better",
    ),
    "rtd_after": ("RTD after", "topological change by a shift of equal effect, in the learned basis; lower is better"),
    "effect": ("Effect", "how much the images change per standard deviation"),
    "share": ("Share", "fraction of the change that falls on the matched true factor; 1 is perfect"),
    "own_change": ("Own change", "change of the matched factor per standard deviation; 1 is that of a random image"),
    "recognized": ("Recognized", "how often a network recognizes this direction from its change; 1 is always"),
    "agreement": ("Agreement", "|cos| with the matched direction of other seeds; 1 is the same direction"),
    "spearman": ("Spearman", "how monotonically the matched true factor grows along the path; 1 is perfect"),
}
"""Known scores: the short name shown, and what it means."""


def score_name(key: str) -> str:
    """Return the short name of a score.

    >>> score_name("rtd_after"), score_name("hair_color")
    ('RTD after', 'Hair color')
    """
    if key in SCORE_NOTES:
        return SCORE_NOTES[key][0]
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def score_note(key: str) -> str:
    """Return what a known score means; an empty text for an unknown one."""
    return SCORE_NOTES.get(key, ("", ""))[1]


def format_number(value: float, *, num_digits: int | None = None) -> str:
    """Format a number with at most three significant digits, or exactly `num_digits`, and a true minus sign.

    >>> [format_number(value) for value in (0.12345, -2, 1234.5, 0.00012, 0, float("nan"))]
    ['0.123', '−2', '1,235', '1.2e−4', '0', 'n/a']
    >>> [format_number(value, num_digits=3) for value in (0.8, -2, 1234.5)]
    ['0.800', '−2.00', '1,235']
    """
    if not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if 999.5 <= size < 1e6:
        text = f"{math.floor(size + 0.5):,}"
    elif size >= 1e6 or 0 < size < 0.001:
        mantissa, exponent = f"{size:.1e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    else:
        text = f"{size:.3g}" if num_digits is None else f"{size:#.{num_digits}g}".rstrip(".")
    return f"{'-' if value < 0 else ''}{text}".replace("-", "−")


def format_shift(amount: float, unit: str = "σ") -> str:
    """Format a shift with its sign and its unit: standard deviations by default, none for units of the direction.

    >>> [format_shift(value) for value in (-3.0, -1.5, 0.0, 0.75)], format_shift(2.0, "")
    (['−3 σ', '−1.5 σ', '0', '+0.75 σ'], '+2')
    """
    if amount == 0:
        return "0"
    return f"{'+' if amount > 0 else ''}{format_number(amount)} {unit}".rstrip()


def format_factor(name: str, share: float | None) -> str:
    """Format the factor matched to a direction; a question mark stands after a weak match (share below 0.35).

    >>> format_factor("object_hue", 0.62), format_factor("size", 0.21)
    ('object hue', 'size?')
    """
    is_weak = share is None or share < WEAK_SHARE
    return name.replace("_", " ") + ("?" if is_weak else "")


def format_setting(value: Any) -> str:
    """Format the value of a setting for readers who do not know Python.

    >>> [format_setting(value) for value in (None, True, 3e-4, 300000, (1, 2), "cpu", {"weight": 5.0, "loss": "rtd"})]
    ['—', 'yes', '0.0003', '300,000', '1, 2', 'cpu', 'weight 5, loss rtd']
    """
    if value is None or value == "" or value == () or value == [] or value == {}:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(name)} {format_setting(entry)}" for name, entry in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(format_setting, value))
    return str(value)


def _words(name: Any) -> str:
    return str(name).replace("_", " ")
