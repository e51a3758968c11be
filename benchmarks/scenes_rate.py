"""How fast scenes are drawn, in images per second: of the grid, and of continuous values.

python benchmarks/scenes_rate.py
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from vae.data import scenes

NUM = 1000


def continuous(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Random factor values (NUM, 6)."""
    low, high = scenes.SCALE_RANGE
    left, right = scenes.ORIENTATION_RANGE_DEG
    columns = [rng.random(NUM) for _ in range(3)]
    columns += [rng.uniform(low, high, NUM), rng.integers(4, size=NUM).astype(float), rng.uniform(left, right, NUM)]
    return np.stack(columns, axis=1)


def rate(draw: Callable[[], object]) -> float:
    """Images per second of a second call: the first one compiles and fills the tables."""
    draw()
    since = time.perf_counter()
    draw()
    return NUM / (time.perf_counter() - since)


def main() -> None:
    rng = np.random.default_rng(0)
    indices, values = rng.integers(0, scenes.SIZES, size=(NUM, 6)), continuous(rng)
    print("| side, px | grid, images/s | continuous values, images/s |\n|---|---|---|")
    for side in scenes.RESOLUTIONS:
        grid = rate(partial(scenes.draw, indices, side))
        free = rate(partial(scenes.draw_values, values, side))
        print(f"| {side} | {grid:,.0f} | {free:,.0f} |")


if __name__ == "__main__":
    main()
