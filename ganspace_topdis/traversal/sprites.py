"""Sprites for a page: each walk as one WebP image in a data: URI, all of them within a budget of bytes.

The first combination of size and quality that fits is used, best first: lossless if images are small, because the
halved color resolution of lossy WebP is visible there; then lower qualities, then smaller frames.
"""

import base64
import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal.frames import Frames

__all__ = ["Sprites", "encode_sprite", "encode_sprites"]

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
