import numpy as np
import pytest

from ganspace_topdis.factors import Factor
from vae.data import DataSet


class TinySprites(DataSet):
    """A bright square of two sizes on a grid of positions, 16 x 16 pixels: enough to learn from, quick to draw."""

    def __init__(self) -> None:
        super().__init__(
            name="tiny-sprites",
            factors=(Factor("size", 2), Factor("posX", 8), Factor("posY", 8)),
            image_shape=(16, 16, 1),
            num_images=128,
            fingerprint="tiny-1",
        )
        grid = np.arange(16)
        self._images = np.zeros((128, 16, 16, 1), np.uint8)
        for index, (size, x, y) in enumerate(self.codes(np.arange(128))):
            left, top, side = x + 1, y + 1, 3 + 2 * size
            inside = (grid >= top)[:, None] & (grid < top + side)[:, None] & (grid >= left) & (grid < left + side)
            self._images[index, inside] = 255

    def _read(self, indices):
        return self._images[indices]


@pytest.fixture(scope="session")
def tiny() -> DataSet:
    return TinySprites()
