"""Data sets that are drawn: batch by batch when they are asked for, or once into an array."""

from collections.abc import Callable, Iterator

import numpy as np

from vae.data import dsprites, scenes
from vae.data.array_store import ArrayStore
from vae.data.catalogue import SetInfo
from vae.data.dataset import DataSet, Images, Integers
from vae.data.stored import StoredSet

__all__ = ["DrawnSet", "draw_once", "draw_scenes", "draw_sprites"]

_BLOCK = 8192


class DrawnSet(DataSet):
    """The full grid of a set's factors, drawn batch by batch; nothing is stored.

    Args:
        info: the set.
        draw: codes (n, K) -> images (n, H, W, C).
        drawing: names the drawing and its version, for the fingerprint.
        draw_rows: codes (n, K) -> the rows of images in an array that keeps the set; by default the images.
    """

    def __init__(
        self,
        info: SetInfo,
        draw: Callable[[Integers], Images],
        *,
        drawing: str,
        draw_rows: Callable[[Integers], Images] | None = None,
    ) -> None:
        super().__init__(
            name=info.name,
            factors=info.factors,
            image_shape=info.image_shape,
            num_images=info.num_images,
            fingerprint=f"{info.name}:{drawing}",
        )
        self.drawing = drawing
        self.draw_rows = draw if draw_rows is None else draw_rows
        self._draw = draw

    def _read(self, indices: Integers) -> Images:
        return self._draw(self.codes(indices))


def draw_sprites(info: SetInfo) -> DrawnSet:
    """dSprites; a batch costs microseconds."""

    def draw(codes: Integers) -> Images:
        pixels = dsprites.draw(codes)
        return np.negative(pixels, out=pixels)[..., None]  # 1 becomes 255

    return DrawnSet(info, draw, drawing="drawn-1", draw_rows=dsprites.draw_bits)


def draw_scenes(info: SetInfo) -> DrawnSet:
    """The scenes of `vae.data.scenes`, composited batch by batch."""
    resolution = info.image_shape[0]
    return DrawnSet(info, lambda codes: scenes.draw(codes, resolution), drawing="drawn-1")


def draw_once(info: SetInfo, drawn: DrawnSet, store: ArrayStore) -> StoredSet:
    """The whole grid of a drawn set as an array."""

    def blocks() -> Iterator[Images]:
        for start in range(0, len(drawn), _BLOCK):
            yield drawn.draw_rows(drawn.codes(np.arange(start, min(len(drawn), start + _BLOCK))))

    return StoredSet(info, store.array(drawn.drawing, info, blocks), source=drawn.drawing)
