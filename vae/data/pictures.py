"""Pictures at another size: shrunk with Lanczos' filter, as the sets' users do, or cut to the middle first."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from vae.data.dataset import Images

__all__ = ["centre_crop", "resized"]


def resized(
    images: npt.NDArray[np.uint8], height: int, width: int, how: Image.Resampling = Image.Resampling.LANCZOS
) -> Images:
    """Images (n, H, W) or (n, H, W, 3) at height x width; as they are where they have that size."""
    if images.shape[1:3] == (height, width):
        return images
    shrunk = [np.asarray(Image.fromarray(image).resize((width, height), how)) for image in images]
    return np.stack(shrunk)


def centre_crop(image: Image.Image, side: int) -> Image.Image:
    """The middle `side` x `side` pixels."""
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))
