"""A data set that is drawn when it is asked for: any function from codes to images, as a `DataSet`."""

from collections.abc import Callable

from ganspace_topdis.evaluation.factors import Factor
from vae.data import dsprites, scenes
from vae.data.dataset import DataSet, Images, Integers

__all__ = ["DrawnSet", "drawn_scenes", "drawn_sprites"]


class DrawnSet(DataSet):
    """The full grid of `factors`, drawn batch by batch; nothing is stored.

    Args:
        draw: codes (n, K) -> images (n, H, W, C).
        drawing: names the drawing and its version, for the fingerprint.
    """

    def __init__(
        self,
        draw: Callable[[Integers], Images],
        *,
        name: str,
        drawing: str,
        factors: tuple[Factor, ...],
        image_shape: tuple[int, int, int],
    ) -> None:
        num_images = 1
        for factor in factors:
            num_images *= factor.size
        super().__init__(
            name=name, factors=factors, image_shape=image_shape, num_images=num_images, fingerprint=f"drawn:{drawing}"
        )
        self._draw = draw

    def _read(self, indices: Integers) -> Images:
        return self._draw(self.codes(indices))


def drawn_sprites(name: str = "dsprites") -> DrawnSet:
    """dSprites, each batch drawn in microseconds.

    >>> drawn_sprites().images([0, 1]).shape
    (2, 64, 64, 1)
    """
    side = dsprites.SIDE_PX
    return DrawnSet(
        lambda codes: (255 * dsprites.draw(codes))[..., None],
        name=name,
        drawing="dsprites-1",
        factors=dsprites.FACTORS,
        image_shape=(side, side, 1),
    )


def drawn_scenes(resolution: int = 64, name: str = "scenes") -> DrawnSet:
    """The scenes of `vae.data.scenes`, composited batch by batch."""
    return DrawnSet(
        lambda codes: scenes.draw(codes, resolution),
        name=name,
        drawing=f"scenes-1-{resolution}",
        factors=scenes.FACTORS,
        image_shape=(resolution, resolution, 3),
    )
