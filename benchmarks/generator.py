"""The generator's speed on a CPU against its plain form, in one run: python benchmarks/generator.py

The plain form builds one kernel a sample, runs them as a grouped convolution, and filters by a depthwise
convolution. Both are timed in turns, the best of each is kept, and their images are compared.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from stylegan2 import Generator, synthesis
from stylegan2.ops.fir import outer_filter
from stylegan2.ops.modulated_conv import convolve, convolve_up


def plain_convolve(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    kernels = (weight * styles[:, None, :, None, None]).flatten(0, 1)
    out = F.conv2d(x.reshape(1, batch * channels, height, width), kernels, padding=1, groups=batch)
    return out.reshape(batch, -1, height, width)


def plain_convolve_up(x: Tensor, weight: Tensor, styles: Tensor, taps: Sequence[float]) -> Tensor:
    batch, channels, height, width = x.shape
    kernels = (weight * styles[:, None, :, None, None]).transpose(1, 2).flatten(0, 1)
    x = F.conv_transpose2d(x.reshape(1, batch * channels, height, width), kernels, stride=2, groups=batch)
    fir = (4 * outer_filter(taps)).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(x, (1, 1, 1, 1)), fir, groups=x.shape[1]).reshape(batch, -1, 2 * height, 2 * width)


FORMS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "ours": (convolve, convolve_up),
    "plain": (plain_convolve, plain_convolve_up),
}


def forward(generator: Generator, w: Tensor) -> Tensor:
    with torch.no_grad():
        return generator.synthesis(w)


def features_backward(generator: Generator, w: Tensor) -> Tensor:
    w = w.clone().requires_grad_()
    generator.synthesis.features(w, 16).square().mean().backward()
    assert w.grad is not None
    return w.grad


def best_times(generator: Generator, w: Tensor, work: Callable[..., Tensor], repeats: int) -> dict[str, float]:
    times = dict.fromkeys(FORMS, float("inf"))
    results = {}
    for _ in range(repeats):
        for name, (synthesis.convolve, synthesis.convolve_up) in FORMS.items():
            start = time.perf_counter()
            results[name] = work(generator, w)
            times[name] = min(times[name], time.perf_counter() - start)
    difference = float((results["ours"] - results["plain"]).abs().max())
    assert difference < 1e-4, f"the two forms differ by {difference}"
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.manual_seed(0)
    generator = Generator(img_resolution=options.resolution).eval().requires_grad_(False)
    w = generator.mapping(torch.randn(options.batch, generator.z_dim))
    print(f"config-f, {options.resolution} px, batch {options.batch}, {torch.get_num_threads()} threads")
    for label, work in {"forward": forward, "features at 16 px and back": features_backward}.items():
        times = best_times(generator, w, work, options.repeats)
        row = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in times.items())
        print(f"{label}: {row}, ratio {times['plain'] / times['ours']:.2f}")


if __name__ == "__main__":
    main()
