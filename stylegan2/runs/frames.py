"""The frames of a run's pictures, saved while they are drawn, so that a stopped run draws none of them again.

A generator is called with the same batches of codes whenever the same pictures are drawn. Each batch is found again by
the SHA-256 of its codes, under a key of what its images depend on besides: checkpoint, space, truncation. Frames are
kept as bytes, reduced to the size of the pictures; `byte / 127.5 - 1` gives the same byte again, so a resumed run
writes the same files, bit for bit.

The frames lie beside the run's checkpoints in files of 32 MB, until the pictures are complete. Nothing is written until
the drawing has taken as long as the store's interval, 20 seconds.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.discovery.cloud_measures import PartialStore
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.generators import Generate
from ganspace_topdis.runs.files import write_bytes
from ganspace_topdis.traversal.frames import draw_frames, step_values, traverse_all
from ganspace_topdis.traversal.gallery import FRAME_PX
from ganspace_topdis.traversal.grid import draw_overview, encode_png
from ganspace_topdis.traversal.names import default_labels
from stylegan2.settings import PictureSettings
from stylegan2.space import LatentSpace

__all__ = ["PREVIEW", "SavedFrames", "draw_preview", "frames_key"]

PREVIEW = "preview.png"
"""The first picture of a long run, in its folder until the other pictures are there."""

_CHUNK_BYTES = 32 << 20
_PREVIEW_S = 45.0
_MOST_PREVIEWED = 8


class SavedFrames:
    """A generator of images, whose frames are saved in `store` as they are drawn, or taken from there.

    Args:
        generate: draws images (N, C, H, W) of codes.
        store: where the frames are saved.
        key: identifies everything that images depend on besides their codes, see `frames_key`.
        max_size_px: longer side of the frames; larger images are reduced.

    Attributes:
        num_taken: images that were not drawn, because they were found.
    """

    def __init__(self, generate: Generate, store: PartialStore, key: str, max_size_px: int = FRAME_PX) -> None:
        self._generate, self._store, self._key, self._max_size_px = generate, store, key, max_size_px
        self.num_taken = 0
        self._found: dict[str, Tensor] = {}
        self._num_files = 0
        while (chunk := store.load(self._name())) is not None:
            self._found |= chunk
            self._num_files += 1
        self._chunk: dict[str, Tensor] = {}

    def __call__(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) of codes in [-1, 1], in steps of a byte.

        Raises:
            StopRequestedError: Ctrl-C or SIGTERM; what is drawn is saved.
        """
        name = hashlib.sha256(codes.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
        frames = self._found.pop(name, None)
        if frames is None:
            drawn = draw_frames(self._generate, codes, batch_size=len(codes), max_size_px=self._max_size_px)
            frames = torch.from_numpy(drawn)
            self._save(name, frames)
        else:
            self.num_taken += len(codes)
        return frames.permute(0, 3, 1, 2).float() / 127.5 - 1

    def _save(self, name: str, frames: Tensor) -> None:
        self._chunk[name] = frames
        is_full = sum(each.numel() for each in self._chunk.values()) >= _CHUNK_BYTES
        self._store.save(self._name(), self._chunk, complete=is_full)
        if is_full:
            self._num_files += 1
            self._chunk = {}

    def _name(self) -> str:
        return f"frames_{self._key}_{self._num_files}"


def frames_key(space: LatentSpace, facts: Mapping[str, Any]) -> str:
    """What the images of codes depend on, as 16 hexadecimal digits.

    Args:
        space: draws the images.
        facts: metadata of the directions, with the checkpoint's SHA-256.
    """
    said = {
        "checkpoint": facts.get("checkpoint_sha256"),
        "truncation": [space.truncation_psi, space.truncation_cutoff],
        **space.facts(),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def draw_preview(
    folder: Path, space: LatentSpace, pictures: PictureSettings, search: Discovery, *, image_s: float
) -> Path:
    """Draw the directions that a search starts from, the first ones and one seed, before the search begins.

    It shows whether checkpoint, class and truncation are the right ones, long before there are results.

    Args:
        folder: the run folder.
        space: the space that is searched.
        pictures: seeds, extent and truncation.
        search: the search, at its start.
        image_s: seconds of an image; the picture takes at most 45 seconds, but shows one direction at least.

    Raises:
        RunFolderError: the file cannot be written.
    """
    directions = space.placed(search.directions(search.initial_rotation))
    affordable = int((_PREVIEW_S / image_s - 1) / 2)
    count = max(1, min(directions.num_directions, _MOST_PREVIEWED, affordable))
    space = space.truncated(pictures.truncation_psi, pictures.truncation_cutoff)
    frames = traverse_all(
        space.images,
        space.codes_of_seeds(pictures.seeds[:1]),
        directions,
        indices=range(count),
        extent=pictures.extent,
        num_steps=3,
        layers=space.layers,
        max_size_px=FRAME_PX,
        batch_size=pictures.batch_size,
    )
    sheet = draw_overview(
        frames[:, 0],
        default_labels(count),
        step_values(pictures.extent, 3),
        title="Before the search",
        subtitle=f"where {count} directions start, seed {pictures.seeds[0]}",
    )
    return write_bytes(folder / PREVIEW, encode_png(sheet))
