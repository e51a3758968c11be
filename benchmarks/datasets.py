"""Time data sets: drawing all of dSprites, and random batches of 64 as a training requests them.

    python benchmarks/datasets.py [NAME ...]

The time of a batch is a median of 200 and includes drawing the indices; "copying" copies the same number of bytes. The
sets take turns for five rounds, and the best round counts, which excludes other work on the machine.
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from vae.data import DataSet, dsprites, open_data

BATCH = 64
NUM_ROUNDS = 5
NAMES = ("dsprites", "dsprites-cached", "scenes", "scenes-32", "dsprites:posX=8,posY=8", "dsprites:posX~posY=0.1")


def time_grid() -> tuple[float, int]:
    """Seconds to draw every image of dSprites as bits, and how many there are."""
    data = open_data("dsprites")
    data.images([0])  # compiled or loaded before the clock starts
    start_s = time.perf_counter()
    for first in range(0, len(data), 8192):
        dsprites.draw_bits(data.codes(np.arange(first, min(len(data), first + 8192))))
    return time.perf_counter() - start_s, len(data)


def median_us(work: Callable[[], object], repeats: int = 200) -> float:
    times = []
    for _ in range(repeats):
        start_s = time.perf_counter()
        work()
        times.append(time.perf_counter() - start_s)
    return 1e6 * float(np.median(times))


def time_batches(data: DataSet, generator: np.random.Generator) -> tuple[float, float]:
    """Microseconds per batch, and per copy of the same number of bytes."""
    source = np.zeros((BATCH, *data.image_shape), np.uint8)
    batch_us = median_us(lambda: data.images(data.sample(BATCH, generator)))
    return batch_us, median_us(source.copy)


def main() -> None:
    names = sys.argv[1:] or NAMES
    grid_s, num_images = min(time_grid() for _ in range(NUM_ROUNDS))
    print(f"drawing all {num_images:,} images of dSprites: {grid_s:.2f} s, {1e6 * grid_s / num_images:.2f} us an image")
    print(f"{'set':<28}{'batch of 64':>12}{'images / s':>12}{'copying':>10}")
    generator = np.random.default_rng(0)
    sets = [open_data(name) for name in names]
    for data in sets:
        data.images(data.sample(20_000, generator))  # caches are warm, pages are mapped
    rounds = [[time_batches(data, generator) for data in sets] for _ in range(NUM_ROUNDS)]
    for name, (batch_us, copy_us) in zip(names, np.min(rounds, axis=0), strict=True):
        print(f"{name:<28}{batch_us:>9.0f} us{1e6 * BATCH / batch_us:>12,.0f}{copy_us:>7.0f} us")


if __name__ == "__main__":
    main()
