"""The explorer: one self-contained page with a slider a direction, over frames drawn beforehand.

It needs no network and no server, and stays below a size that can be mailed: sizes and qualities of its frames
are chosen for that. Several sliders move at once where frames of their mixes were drawn (see `mixing`).
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.files import write_text
from ganspace_topdis.traversal.frames import Frames
from ganspace_topdis.traversal.labels import DirectionLabel
from ganspace_topdis.traversal.mixing import MixedFrames, mix_steps
from ganspace_topdis.traversal.page import fill_page, page_data, page_overhead
from ganspace_topdis.traversal.strips import Strips, encode_strips

__all__ = ["MAX_PAGE_BYTES", "build_explorer", "write_explorer"]

MAX_PAGE_BYTES = 9_500_000


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
    mixed: MixedFrames | None = None,
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
        source: what the directions are, such as a hash of them; it goes into the saved names.
        mixed: frames of several directions at once; without them the page moves one at a time.
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
    strips, held = _held(frames, values, mixed, max_bytes)
    data = page_data(labels, seeds, source=source) | {
        "width": strips.width,
        "height": strips.height,
        "transparent": frames.shape[-1] == 4,
        "storageKey": _storage_key(source, labels, strips),
        "held": held,
    }
    return fill_page("held", title=title, subtitle=subtitle, data=data)


def _held(
    frames: Frames, values: Sequence[float], mixed: MixedFrames | None, max_bytes: int
) -> tuple[Strips, dict[str, Any]]:
    """All frames as strips: a walk of one seed each, then a mix of one seed each; and the page's table of them."""
    num_directions, num_seeds, num_steps = frames.shape[:3]
    films = list(frames.reshape(-1, *frames.shape[2:]))
    groups = {} if mixed is None else mixed.frames
    for lattice in groups.values():
        films += list(lattice)
    strips = encode_strips(films, budget_bytes=max_bytes - page_overhead() - 4096 * num_directions)
    by_seed = [strips.uris[start : start + num_seeds] for start in range(0, len(strips.uris), num_seeds)]
    keys = [",".join(map(str, group)) for group in groups]
    return strips, {
        "values": list(values),
        "strips": by_seed[:num_directions],
        "numMixed": 0 if mixed is None else mixed.num_mixed,
        "mixedValues": [[values[step] for step in mix_steps(num_steps, num_moved)] for num_moved in (1, 2, 3)],
        "mixed": dict(zip(keys, by_seed[num_directions:], strict=True)),
    }


def _storage_key(source: str, labels: Sequence[DirectionLabel], strips: Strips) -> str:
    """Under which the browser keeps names: that of other directions, names or frames must not be this page's."""
    names = [(label.index, label.name, label.starred) for label in labels]
    return f"{source} {hashlib.sha256(repr((names, strips.uris)).encode()).hexdigest()[:16]}"
