"""Pictures: resizing, center crops, and the contact sheet of a data set.

The contact sheet has one row per factor, with its values from left to right and all other factors fixed. Pictures are
resized with a Lanczos filter, as in the literature.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ganspace_topdis.traversal.grid import resize_frame
from ganspace_topdis.traversal.text import draw_text, text_width
from vae.data.dataset import DataSet, Images, Integers

__all__ = ["center_crop", "contact_sheet", "resize_images"]

_PAPER, _INK = "#fcfcfa", "#1b1f24"
_TEXT_PX, _GAP_PX, _MARGIN_PX = 15, 4, 16


def resize_images(
    images: npt.NDArray[np.uint8], height: int, width: int, method: Image.Resampling = Image.Resampling.LANCZOS
) -> Images:
    """Resize images (n, H, W) or (n, H, W, 3) to height x width; returns them unchanged if they have that size."""
    if images.shape[1:3] == (height, width):
        return images
    resized = [np.asarray(Image.fromarray(image).resize((width, height), method)) for image in images]
    return np.stack(resized)


def center_crop(image: Image.Image, side: int) -> Image.Image:
    """Crop the center `side` x `side` pixels."""
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def contact_sheet(data: DataSet, *, num_columns: int = 12, cell_px: int = 64, seed: int = 1) -> Image.Image:
    """Draw a contact sheet: one row per factor, or rows of random images if the factors are unknown.

    Args:
        data: the data set.
        num_columns: images per row; a factor with fewer values has a shorter row.
        cell_px: width of an image on the sheet.
        seed: seed of the images whose factors are varied, one per row.

    Example:
        >>> from vae.data import open_data
        >>> contact_sheet(open_data("dsprites"), num_columns=8).height
        368
    """
    rows = _rows(data, num_columns, np.random.default_rng(seed))
    height, width = round(cell_px * data.image_shape[0] / data.image_shape[1]), cell_px
    names = [name for name, _ in rows]
    label = round(max(text_width(name, _TEXT_PX) for name in names)) + 2 * _GAP_PX
    left = _MARGIN_PX + label
    size = (
        left + num_columns * (width + _GAP_PX) - _GAP_PX + _MARGIN_PX,
        2 * _MARGIN_PX + len(rows) * (height + _GAP_PX) - _GAP_PX,
    )
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    for r, (name, indices) in enumerate(rows):
        top = _MARGIN_PX + r * (height + _GAP_PX)
        draw_text(pen, left - 2 * _GAP_PX, top + height / 2 + _TEXT_PX / 3, name, _TEXT_PX, _INK, align="r")
        for c, image in enumerate(data.images(indices)):
            sheet.paste(resize_frame(image, (width, height)), (left + c * (width + _GAP_PX), top))
    return sheet


def _rows(data: DataSet, num_columns: int, generator: np.random.Generator) -> list[tuple[str, Integers]]:
    """Return label and indices of every row."""
    if not data.factors:
        return [("", data.sample(num_columns, generator)) for _ in range(5)]
    rows = []
    for k, factor in enumerate(data.factors):
        values = np.unique(np.linspace(0, factor.size - 1, num_columns).round().astype(np.int64))
        codes = np.repeat(data.sample_codes(1, generator), len(values), axis=0)
        codes[:, k] = values
        rows.append((factor.name, data.indices(codes)))
    return rows
