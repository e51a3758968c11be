"""What makes a step of a search fast on a CPU, change by change: OMP_NUM_THREADS=1 python benchmarks/search_step.py

One direction of a step on a config-f generator of random weights, features at 16 px, 64 codes; the features before
the shift are in it, too. Below that, one image of 64 px. Seconds of the processor's clock, the smallest of three.
"""

import contextlib
import ctypes
import time
from collections.abc import Callable, Iterator

import torch

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.runs.devices import tune_malloc
from ganspace_topdis.topology import distances
from stylegan2 import Generator
from stylegan2.ops import modulated_conv
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.space import LatentSpace

CHANGES = (
    "direct convolution where gradients are kept",
    "Winograd's there, too",
    "and freed memory used again",
    "and distances from pieces that fit into the cache",
    "and what is made of weights kept",
)
prefers_winograd = modulated_conv._prefers_winograd


@contextlib.contextmanager
def changed(count: int) -> Iterator[None]:
    """The first `count` changes made, the others undone."""

    def without_gradients(x: torch.Tensor, weight: torch.Tensor) -> bool:
        return not torch.is_grad_enabled() and prefers_winograd(x, weight)

    modulated_conv._prefers_winograd = prefers_winograd if count > 0 else without_gradients
    if count > 1:
        tune_malloc()
    else:
        for setting, default in ((-4, 65536), (-1, 128 * 1024)):
            ctypes.CDLL(None).mallopt(setting, default)
    distances._IN_CACHE = 1 << (18 if count > 2 else 40)
    with frozen_weights() if count > 3 else contextlib.nullcontext():
        yield


def seconds(work: Callable[[], object]) -> float:
    work()
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    torch.manual_seed(0)
    generator = Generator(img_resolution=256).eval().requires_grad_(False)
    space = LatentSpace(generator=generator, resolution=16)
    settings = DiscoverySettings(
        num_directions=10, span="pca", steps=200, directions_per_step=1, num_span_codes=2000, micro_batch=64
    )
    search = Discovery(space.features, space.sample_codes, settings, device="cpu")
    small = Generator(img_resolution=64).eval().requires_grad_(False)
    w = small.mapping(torch.randn(1, 512))
    steps, images = [float("inf")] * len(CHANGES), [float("inf")] * len(CHANGES)
    for _ in range(3):
        for count in range(len(CHANGES)):
            with changed(count):
                steps[count] = min(steps[count], seconds(search.step))
                with torch.no_grad():
                    images[count] = min(images[count], seconds(lambda: small.synthesis(w)))
    print("| one direction of a step | s |\n|---|---|")
    for name, duration in zip(CHANGES, steps, strict=True):
        print(f"| {name} | {duration:.2f} |")
    print(f"one image of 64 px: {images[0]:.3f} s before, {images[-1]:.3f} s after all")


if __name__ == "__main__":
    main()
