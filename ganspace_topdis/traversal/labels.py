"""Words beside pictures: a direction's name and scores, and the shifts, as people read them."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

__all__ = [
    "SCORE_NOTES",
    "DirectionLabel",
    "default_labels",
    "format_number",
    "format_shift",
    "score_name",
    "score_texts",
]

SCORE_NOTES: dict[str, tuple[str, str]] = {
    "rtd_before": ("RTD before", "topological change that the shift makes, in the starting basis; lower is better"),
    "rtd_after": ("RTD after", "topological change that the shift makes, in the learned basis; lower is better"),
    "effect": ("Effect", "how much the images change for one standard deviation"),
    "effect_size": ("Effect size", "how much the images change for one standard deviation"),
    "cosine": ("|cos|", "alignment with the matched true axis; 1 is perfect"),
    "share": ("Share", "part of the change that falls on the matched true factor; 1 is perfect"),
    "recognised": ("Recognised", "how often a network names this direction from its change; 1 is always"),
    "agreement": ("Agreement", "|cos| with the matched direction of other seeds; 1 is the same direction"),
    "spearman": ("Spearman", "how steadily the matched true factor grows along the path; 1 is perfect"),
}
"""Known scores: the short name shown, and what it means."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectionLabel:
    """What is written beside a direction.

    Attributes:
        index: the direction's number in its file, from 0.
        name: what people call it.
        scores: score key -> number; known keys are those of `SCORE_NOTES`, others are shown as they are.
        starred: marked by the user as worth keeping.
    """

    index: int
    name: str
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    starred: bool = False


def default_labels(num_directions: int, scores: Sequence[Mapping[str, float]] | None = None) -> list[DirectionLabel]:
    """Labels "Direction 0", "Direction 1", ... with their scores, where given."""
    return [
        DirectionLabel(index=index, name=f"Direction {index}", scores=scores[index] if scores else {})
        for index in range(num_directions)
    ]


def score_name(key: str) -> str:
    """The short name of a score.

    >>> score_name("rtd_after"), score_name("hair_colour")
    ('RTD after', 'Hair colour')
    """
    if key in SCORE_NOTES:
        return SCORE_NOTES[key][0]
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def format_number(value: float, *, num_digits: int | None = None) -> str:
    """A number with at most three significant digits, or exactly `num_digits`, and a true minus sign.

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


def format_shift(sigma: float) -> str:
    """A shift in standard deviations, with its sign.

    >>> [format_shift(value) for value in (-3.0, -1.5, 0.0, 0.75)]
    ['−3 σ', '−1.5 σ', '0', '+0.75 σ']
    """
    if sigma == 0:
        return "0"
    return f"{'+' if sigma > 0 else ''}{format_number(sigma)} σ"


def score_texts(label: DirectionLabel) -> list[tuple[str, str]]:
    """The short names and the numbers of a direction's scores, as shown beside it.

    >>> score_texts(DirectionLabel(index=0, name="Smile", scores={"rtd_after": 0.8}))
    [('RTD after', '0.800')]
    """
    return [(score_name(key), format_number(value, num_digits=3)) for key, value in label.scores.items()]
