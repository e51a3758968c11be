"""A contact sheet of scenes or pebbles: one row per factor, the others fixed, and a last row of random images.

python benchmarks/scenes_sheet.py docs/images/scenes_factors.png
python benchmarks/scenes_sheet.py docs/images/pebbles_factors.png --data pebbles
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scenes_training import DATA, drawn_data, picture_sheet
from torch import Tensor

from vae.data import scenes

FIXED = {"scenes": (0, 6, 3, 5, 0, 4), "pebbles": (2, 0, 6, 4, 5, 6)}


def rows(data: str, resolution: int) -> list[Tensor]:
    """Rows of images in [-1, 1], white where a factor has no more values."""
    drawn = drawn_data(data, resolution)
    sizes = [factor.size for factor in drawn.factors]
    columns = max(sizes)
    sheet = []
    for k, size in enumerate(sizes):
        indices = np.tile(FIXED[data], (columns, 1))
        indices[:, k] = np.minimum(np.arange(columns), size - 1)
        images = drawn.of_indices(torch.from_numpy(indices))
        images[size:] = 1
        sheet.append(images)
    random = np.random.default_rng(0)
    indices = np.stack([random.integers(0, size, columns) for size in sizes], axis=1)
    return [*sheet, drawn.of_indices(torch.from_numpy(indices))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="the PNG to write")
    parser.add_argument("--data", default="scenes", choices=DATA)
    parser.add_argument("--resolution", type=int, default=64, choices=scenes.RESOLUTIONS)
    options = parser.parse_args()
    picture_sheet(rows(options.data, options.resolution), options.output, zoom=1)


if __name__ == "__main__":
    main()
