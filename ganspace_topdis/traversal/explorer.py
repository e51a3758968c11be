"""The explorer: one self-contained page with a slider a direction, over frames drawn beforehand.

The page needs no network and no server: style, script and frames are inside, and its content security policy
allows nothing else: the hashes of that style and that script, and images from data: URIs. Names and scores
come from files, so all text is data to the script, or escaped.
"""

import base64
import dataclasses
import hashlib
import html
import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.files import write_text
from ganspace_topdis.traversal.frames import Frames
from ganspace_topdis.traversal.labels import SCORE_NOTES, DirectionLabel, format_shift, score_texts
from ganspace_topdis.traversal.names import NAMES_FORMAT
from ganspace_topdis.traversal.strips import Strips, encode_strips

__all__ = ["MAX_PAGE_BYTES", "PairFrames", "build_explorer", "mix_steps", "write_explorer"]

MAX_PAGE_BYTES = 9_500_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairFrames:
    """Frames for two directions moved at once.

    Attributes:
        steps: the steps of a walk at which pairs were drawn, the middle one among them; see `mix_steps`.
        frames: (i, j) with i < j, places of directions on the page -> (num_seeds, A, A, H, W, C) bytes for the
            A steps that shift: all but the middle one.
    """

    steps: Sequence[int]
    frames: Mapping[tuple[int, int], Frames]


def mix_steps(num_steps: int) -> list[int]:
    """Five steps of a walk (three of a short one) at which two directions are mixed: ends, halves, the middle.

    >>> mix_steps(9), mix_steps(11), mix_steps(3)
    ([0, 2, 4, 6, 8], [0, 2, 5, 8, 10], [0, 1, 2])
    """
    half = num_steps // 2
    return sorted({0, half // 2, half, num_steps - 1 - half // 2, num_steps - 1})


def write_explorer(path: str | os.PathLike[str], page: str) -> Path:
    """Write the page that `build_explorer` made, atomically.

    Raises:
        RunFolderError: the file cannot be written.
    """
    return write_text(path, page)


def build_explorer(
    frames: Frames,
    labels: Sequence[DirectionLabel],
    values: Sequence[float],
    seeds: Sequence[str],
    *,
    title: str = "Directions",
    subtitle: str = "",
    source: str = "",
    pairs: PairFrames | None = None,
    max_bytes: int = MAX_PAGE_BYTES,
) -> str:
    """The page's HTML.

    Args:
        frames: (K, num_seeds, num_steps, H, W, C) bytes, the unshifted images in the middle.
        labels: K names with scores.
        values: num_steps shifts, in standard deviations.
        seeds: num_seeds names.
        title: the page's heading.
        subtitle: a line under it.
        source: what the directions are, such as their file's sha256; it goes into the saved names.
        pairs: frames for mixing two directions; without them the page offers one at a time.
        max_bytes: the page is at most this large; sizes and qualities of its images follow.

    Raises:
        InvalidArgumentError: the shapes do not fit each other, or the frames not into the page.
    """
    expected = (len(labels), len(seeds), len(values))
    if frames.ndim != 6 or frames.shape[:3] != expected or 0 in expected:
        raise InvalidArgumentError(
            f"frames have shape {frames.shape}, but must be (directions, seeds, steps, H, W, C) "
            f"with {expected[0]}, {expected[1]} and {expected[2]}, at least one of each"
        )
    single, mixed = _encode(frames, pairs, max_bytes)
    data = _page_data(frames, labels, values, seeds, source) | {
        "width": single.width,
        "height": single.height,
        "strips": _by_seed(single.uris, len(seeds)),
        "mix": mixed,
        "storageKey": _storage_key(source, labels, single),
    }
    return _fill(title, subtitle, data)


def _encode(frames: Frames, pairs: PairFrames | None, max_bytes: int) -> tuple[Strips, dict[str, Any] | None]:
    """The walks as strips, and the pairs' grids as strips (first direction's step, then the second's)."""
    num_directions, num_seeds = frames.shape[:2]
    walks = list(frames.reshape(-1, *frames.shape[2:]))
    grids: list[Frames] = []
    for grid in pairs.frames.values() if pairs else ():
        grids += list(grid.reshape(num_seeds, -1, *grid.shape[3:]))
    overhead = sum(len(_asset(name)) for name in ("html", "css", "js")) + 4096 * num_directions
    strips = encode_strips(walks + grids, budget_bytes=max_bytes - overhead)
    single = dataclasses.replace(strips, uris=strips.uris[: len(walks)])
    if pairs is None:
        return single, None
    mixed = _by_seed(strips.uris[len(walks) :], num_seeds)
    keys = [f"{first},{second}" for first, second in pairs.frames]
    return single, {"steps": list(pairs.steps), "strips": dict(zip(keys, mixed, strict=True))}


def _page_data(
    frames: Frames,
    labels: Sequence[DirectionLabel],
    values: Sequence[float],
    seeds: Sequence[str],
    source: str,
) -> dict[str, Any]:
    known = {key: SCORE_NOTES[key] for label in labels for key in label.scores if key in SCORE_NOTES}
    return {
        "source": source,
        "namesFormat": NAMES_FORMAT,
        "values": list(values),
        "shifts": [format_shift(value) for value in values],
        "seeds": list(seeds),
        "transparent": frames.shape[-1] == 4,
        "notes": list(known.values()),
        "directions": [
            {
                "index": label.index,
                "name": label.name,
                "starred": label.starred,
                "scores": [
                    (*texts, SCORE_NOTES.get(key, ("", ""))[1])
                    for key, texts in zip(label.scores, score_texts(label), strict=True)
                ],
            }
            for label in labels
        ],
    }


def _storage_key(source: str, labels: Sequence[DirectionLabel], strips: Strips) -> str:
    """Under which the browser keeps names: that of other directions, names or frames must not be this page's."""
    names = [(label.index, label.name, label.starred) for label in labels]
    return f"{source} {hashlib.sha256(repr((names, strips.uris)).encode()).hexdigest()[:16]}"


def _fill(title: str, subtitle: str, data: dict[str, Any]) -> str:
    """The template with its parts put in, in one pass: what is put in is not searched again."""
    style, script = _asset("css"), _asset("js")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(title),
        "subtitle": html.escape(subtitle),
        "style": style,
        "script": script,
        "data": _script_json(data),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("html"))


def _script_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _asset(suffix: str) -> str:
    return resources.files(__package__).joinpath(f"explorer.{suffix}").read_text(encoding="utf-8")


def _by_seed(uris: Sequence[str], num_seeds: int) -> list[list[str]]:
    return [list(uris[start : start + num_seeds]) for start in range(0, len(uris), num_seeds)]
