"""A contact sheet of scenes: one row per factor, the others fixed, and a last row of random scenes.

python benchmarks/scenes_sheet.py docs/images/scenes_factors.png
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scenes_training import picture_sheet
from torch import Tensor

from vae.data import scenes

FIXED = (0, 6, 3, 5, 0, 4)
COLUMNS = max(scenes.SIZES)


def rows(resolution: int) -> list[Tensor]:
    """Rows of `COLUMNS` images in [-1, 1], white where a factor has no more values."""
    sheet = []
    for k, size in enumerate(scenes.SIZES):
        indices = np.tile(FIXED, (COLUMNS, 1))
        indices[:, k] = np.minimum(np.arange(COLUMNS), size - 1)
        images = scenes.draw(indices, resolution)
        images[size:] = 255
        sheet.append(images)
    random = np.random.default_rng(0)
    sheet.append(
        scenes.draw(np.stack([random.integers(0, size, COLUMNS) for size in scenes.SIZES], axis=1), resolution)
    )
    return [torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1 for images in sheet]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="the PNG to write")
    parser.add_argument("--resolution", type=int, default=64, choices=scenes.RESOLUTIONS)
    options = parser.parse_args()
    picture_sheet(rows(options.resolution), options.output, zoom=1)


if __name__ == "__main__":
    main()
