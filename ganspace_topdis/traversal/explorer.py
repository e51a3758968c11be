"""The explorer page as HTML: a slider per direction, over frames inside the page or frames requested from a server.

`build_explorer` makes the self-contained page. It needs no network and no server, and stays small enough to be mailed:
each walk is one WebP image in a data: URI, and the first size and quality that fit a budget of bytes are used, best
first: lossless if images are small, because the halved color resolution of lossy WebP is visible there; then lower
qualities, then smaller frames. Several sliders can move at once if the frames of their mixes
were drawn (see `mixing`). The live page (see `live.server`) differs in where frames come
from, and in what can be chosen.

Style and scripts are inside the page. Its content security policy allows their hashes, images from data: URIs and, on
the live page, requests to its own server, and nothing else. Names and scores come from files, so all text is either
JSON data of the script or escaped.
"""

import base64
import dataclasses
import hashlib
import html
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.report.page import style_sheet
from ganspace_topdis.report.values import SCORE_NOTES, score_note
from ganspace_topdis.runs.files import write_text
from ganspace_topdis.traversal.frames import Frames
from ganspace_topdis.traversal.mixing import MixedFrames, mix_steps
from ganspace_topdis.traversal.names import NAMES_FORMAT, DirectionLabel, score_texts, shift_unit

__all__ = [
    "MAX_PAGE_BYTES",
    "FrameSource",
    "Sprites",
    "build_explorer",
    "content_policy",
    "encode_sprite",
    "encode_sprites",
    "fill_page",
    "page_data",
    "page_overhead",
    "write_explorer",
]


_MAX_WEBP_PX = 16383
_MAX_LOSSLESS_PX = 128
_SCALES = (1.0, 0.75, 0.5, 0.375, 0.25, 0.1875, 0.125)
_QUALITIES = (90, 80, 68)
_LOSSLESS: dict[str, Any] = {"lossless": True, "quality": 60, "method": 3}
_NUM_PROBES = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sprites:
    """Encoded walks.

    Attributes:
        uris: one data: URI per walk.
        width: of a frame, in pixels.
        height: of a frame, in pixels.
    """

    uris: list[str]
    width: int
    height: int


def encode_sprites(walks: Sequence[Frames], *, budget_bytes: int, max_size_px: int = 512) -> Sprites:
    """Encode `walks` so that their data: URIs take `budget_bytes` at most.

    Args:
        walks: (num_frames, H, W, C) bytes each; only num_frames may differ.
        budget_bytes: for all URIs together.
        max_size_px: maximum of the longer side of a frame.

    Raises:
        InvalidArgumentError: even the smallest frames at the lowest quality do not fit.
    """
    probes = walks[:: max(1, len(walks) // _NUM_PROBES)]
    for size, options in _ladder(walks, max_size_px):
        probed = sum(len(_uri(_encode(walk, size, options))) for walk in probes)
        if probed / len(probes) * len(walks) > budget_bytes:
            continue
        uris = [_uri(_encode(walk, size, options)) for walk in walks]
        if sum(map(len, uris)) <= budget_bytes:
            return Sprites(uris=uris, width=size[0], height=size[1])
    num_frames = sum(map(len, walks))
    raise InvalidArgumentError(
        f"{num_frames} frames do not fit into a page of {budget_bytes / 1e6:.1f} MB; "
        "take fewer seeds, steps or directions"
    )


def encode_sprite(walk: Frames) -> bytes:
    """Return frames (N, H, W, C) side by side as one WebP image, lossless if they are small.

    Raises:
        InvalidArgumentError: together they are wider than the format allows.
    """
    height, width = walk.shape[1:3]
    if width * len(walk) > _MAX_WEBP_PX:
        raise InvalidArgumentError(f"{len(walk)} frames of {width} px are too wide for one image; ask for fewer")
    options = _LOSSLESS if max(height, width) <= _MAX_LOSSLESS_PX else {"quality": 90, "method": 2}
    return _encode(walk, (width, height), options)


def _ladder(walks: Sequence[Frames], max_size_px: int) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    height, width = walks[0].shape[1:3]
    start = min(1.0, max_size_px / max(height, width))
    longest = max(map(len, walks))
    for scale in _SCALES:
        size = max(1, round(width * start * scale)), max(1, round(height * start * scale))
        if size[0] * longest > _MAX_WEBP_PX:
            continue
        if max(size) <= _MAX_LOSSLESS_PX:
            yield size, _LOSSLESS
        for quality in _QUALITIES:
            yield size, {"quality": quality, "method": 4}


def _encode(walk: Frames, size: tuple[int, int], options: dict[str, Any]) -> bytes:
    sprite = _picture(np.concatenate(list(walk), axis=1))
    if size != walk.shape[2:0:-1]:
        sprite = _resized(walk, size)
    buffer = io.BytesIO()
    sprite.save(buffer, format="WEBP", **options)
    return buffer.getvalue()


def _uri(image: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(image).decode("ascii")


def _resized(walk: Frames, size: tuple[int, int]) -> Image.Image:
    """Resize each frame separately, so that no frame bleeds into its neighbor."""
    frames = [_picture(frame).resize(size, Image.Resampling.LANCZOS) for frame in walk]
    sprite = Image.new(frames[0].mode, (size[0] * len(frames), size[1]))
    for place, frame in enumerate(frames):
        sprite.paste(frame, (place * size[0], 0))
    return sprite


def _picture(frame: Frames) -> Image.Image:
    """Return a frame (H, W, C) as RGB, or RGBA if it has four channels."""
    return Image.fromarray(np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame)


MAX_PAGE_BYTES = 9_500_000
FrameSource = Literal["held", "live"]
"""Whether frames are inside the page or come from its server."""


def write_explorer(path: str | os.PathLike[str], page: str) -> Path:
    """Write the page that `build_explorer` returned, atomically.

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
    command: str = "",
    command_note: str = "",
    mixed: MixedFrames | None = None,
    max_bytes: int = MAX_PAGE_BYTES,
) -> str:
    """Return the HTML of the self-contained page.

    Args:
        frames: (K, num_seeds, num_steps, H, W, C) bytes, the unshifted images in the middle.
        labels: K names with scores.
        values: num_steps shifts, in units of the directions.
        seeds: num_seeds names.
        title: the page's heading.
        subtitle: a line under it.
        source: identifies the directions, such as a hash of them; it is written into saved names.
        command: the command that makes an image of the page, without its seed and shifts; none by default.
        command_note: what a reader must know to run it.
        mixed: frames of several directions at once; without them only one slider moves at a time.
        max_bytes: the maximum size of the page; it determines the size and quality of the images.

    Raises:
        InvalidArgumentError: the shapes do not match, or the frames do not fit into the page.
    """
    expected = (len(labels), len(seeds), len(values))
    if frames.ndim != 6 or frames.shape[:3] != expected or 0 in expected:
        raise InvalidArgumentError(
            f"frames have shape {frames.shape}, but must be (directions, seeds, steps, H, W, C) "
            f"with {expected[0]}, {expected[1]} and {expected[2]}, at least one of each"
        )
    sprites, held = _held(frames, values, mixed, max_bytes)
    data = page_data(labels, seeds, source=source, command=command, command_note=command_note) | {
        "width": sprites.width,
        "height": sprites.height,
        "transparent": frames.shape[-1] == 4,
        "storageKey": _storage_key(source, labels, sprites),
        "held": held,
    }
    return fill_page("held", title=title, subtitle=subtitle, data=data)


def _held(
    frames: Frames, values: Sequence[float], mixed: MixedFrames | None, max_bytes: int
) -> tuple[Sprites, dict[str, Any]]:
    """Return all frames as sprites (first the walks, then the mixes, one per seed), and the page's index of them."""
    num_directions, num_seeds, num_steps = frames.shape[:3]
    films = list(frames.reshape(-1, *frames.shape[2:]))
    groups = {} if mixed is None else mixed.frames
    for lattice in groups.values():
        films += list(lattice)
    sprites = encode_sprites(films, budget_bytes=max_bytes - page_overhead() - 4096 * num_directions)
    by_seed = [sprites.uris[start : start + num_seeds] for start in range(0, len(sprites.uris), num_seeds)]
    keys = [",".join(map(str, group)) for group in groups]
    return sprites, {
        "values": list(values),
        "strips": by_seed[:num_directions],
        "numMixed": 0 if mixed is None else mixed.num_mixed,
        "mixedValues": [[values[step] for step in mix_steps(num_steps, num_moved)] for num_moved in (1, 2, 3)],
        "mixed": dict(zip(keys, by_seed[num_directions:], strict=True)),
    }


def _storage_key(source: str, labels: Sequence[DirectionLabel], sprites: Sprites) -> str:
    """Return the key of the names in the browser's storage: different directions, names or frames have another one."""
    names = [(label.index, label.name, label.starred) for label in labels]
    return f"{source} {hashlib.sha256(repr((names, sprites.uris)).encode()).hexdigest()[:16]}"


def page_data(
    labels: Sequence[DirectionLabel], seeds: Sequence[str], *, source: str, command: str = "", command_note: str = ""
) -> dict[str, Any]:
    """Return the data of both pages' scripts: directions with names, marks, stars and scores; seeds; score notes."""
    known = {key: SCORE_NOTES[key] for label in labels for key in label.scores if key in SCORE_NOTES}
    return {
        "source": source,
        "command": command,
        "commandNote": command_note,
        "namesFormat": NAMES_FORMAT,
        "seeds": list(seeds),
        "unit": shift_unit(labels),
        "notes": list(known.values()),
        "directions": [
            {
                "index": label.index,
                "name": label.name,
                "automaticName": label.automatic_name or label.name,
                "marks": label.marks,
                "starred": label.starred,
                "scores": [
                    (*texts, score_note(key)) for key, texts in zip(label.scores, score_texts(label), strict=True)
                ],
            }
            for label in labels
        ],
    }


def fill_page(frames_from: FrameSource, *, title: str, subtitle: str, data: dict[str, Any]) -> str:
    """Return the template with its parts filled in, in one pass, so that the parts are not searched for others."""
    seeds = [str(seed) for seed in data.get("seeds", ())]
    code = "seed" if frames_from == "live" or any("seed" in seed for seed in seeds) else "image"
    parts = {
        "policy": content_policy(frames_from),
        "title": html.escape(title),
        "subtitle": html.escape(subtitle),
        "style": _style(),
        "script": _script(frames_from),
        "data": _script_json(data),
        "codes": code.capitalize(),
        "code": code,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("explorer.html"))


def content_policy(frames_from: FrameSource) -> str:
    """Return the content security policy: own style and scripts, inline images and, on the live page, its server."""
    connect = "connect-src 'self'; " if frames_from == "live" else ""
    return (
        f"default-src 'none'; img-src data:; {connect}style-src {_hash(_style())}; "
        f"script-src {_hash(_script(frames_from))}; base-uri 'none'; form-action 'none'"
    )


def page_overhead() -> int:
    """Return the size in bytes of a self-contained page without its data."""
    return sum(len(text.encode()) for text in (_asset("explorer.html"), _style(), _script("held")))


def _style() -> str:
    return style_sheet() + _asset("explorer.css")


def _script(frames_from: FrameSource) -> str:
    parts = ("elements", "history", "files", "names", "keys", "live")
    names = (f"frames_{frames_from}", *(f"explorer_{part}" for part in parts), "explorer")
    return "".join(_asset(f"{name}.js") for name in names)


def _script_json(value: Any) -> str:
    """Return JSON that cannot end the script element that contains it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
