"""Seconds per step and memory of a search on a large generator of random weights, and the time of 200 steps.

    python benchmarks/discovery_scale.py --resolution 256 --threads 2
    python benchmarks/discovery_scale.py --resolution 1024 --device cuda --precision bf16

The generator has StyleGAN2's config-f widths; times do not depend on the weights. The span is that of the leading
principal components, which costs almost nothing; the active subspace takes as long as 1024 codes forward and
backward, which is printed too. Steps after the first are timed, in wall-clock and in processor time: on a busy machine
only the latter shows what an idle one takes; on one thread both are equal.
"""

import argparse
import time
from collections.abc import Callable

import torch

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.discovery.active_subspace import active_subspace
from ganspace_topdis.discovery.micro_batch import bytes_per_code
from ganspace_topdis.runs.devices import choose_device, peak_memory_bytes, tune_malloc, wait_for_device
from ganspace_topdis.runs.progress import format_duration
from stylegan2 import Generator
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.space import LatentSpace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--features", type=int, default=16, help="block, px; 0 for images")
    parser.add_argument("--directions", type=int, default=10)
    parser.add_argument("--directions-per-step", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--micro-batch", type=int)
    parser.add_argument("--method", default="topdis")
    parser.add_argument("--steps", type=int, default=2, help="how many are timed; 0 for memory alone")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--compile", choices=("none", "default"), default="none")
    options = parser.parse_args()
    tune_malloc()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = choose_device(options.device)
    generator = Generator(img_resolution=options.resolution).eval().requires_grad_(False).to(device)
    space = LatentSpace(generator=generator, resolution=options.features or None)
    settings = DiscoverySettings(
        method=options.method,
        num_directions=options.directions,
        span="pca",
        steps=200,
        batch_size=options.batch_size,
        directions_per_step=options.directions_per_step,
        num_span_codes=2000,
        micro_batch=options.micro_batch,
        precision=options.precision,
        compile=options.compile,
    )
    search = Discovery(space.features, space.sample_codes, settings, device=device)
    print(f"{options.resolution} px, features at {options.features} px, {options.directions} directions, {device}")
    codes = space.sample_codes(2000, torch.Generator().manual_seed(0)).to(device)
    kept_gb = bytes_per_code(space.features, codes) / 1e9
    print(f"a code's graph keeps {kept_gb:.3g} GB; micro-batch {search.micro_batch}")
    if options.steps:
        with frozen_weights():
            _print_times(search, space, codes, options.steps, device)
    used = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_memory_bytes()
    print(f"most memory held {0 if used is None else used / 1e9:.2f} GB")


def _print_times(
    search: Discovery, space: LatentSpace, codes: torch.Tensor, num_steps: int, device: torch.device
) -> None:
    seconds = [_timed(search.step, device) for _ in range(num_steps + 1)]
    probing, probing_cpu = _timed(lambda: _probe(space, codes, search.micro_batch), device)
    a_step = sum(wall for wall, _ in seconds[1:]) / num_steps
    total = 200 * a_step + 1024 / 64 * probing
    print(f"first step {seconds[0][0]:.2f} s, each further {a_step:.2f} s; effect span {1024 / 64 * probing:.0f} s")
    print(f"200 steps and the span: {format_duration(total)}")
    if device.type == "cpu":
        a_step, probing = sum(cpu for _, cpu in seconds[1:]) / num_steps, probing_cpu
        print(f"by the processor: a step {a_step:.2f} s, span {16 * probing:.0f} s; 200 steps and the span: ", end="")
        print(format_duration(200 * a_step + 16 * probing))


def _probe(space: LatentSpace, codes: torch.Tensor, micro_batch: int) -> None:
    active_subspace(
        space.features, codes, size=1, rng=torch.Generator().manual_seed(0), num_probes=64, micro_batch=micro_batch
    )


def _timed(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds by the clock and by the processor."""
    wait_for_device(device)
    since, since_cpu = time.monotonic(), time.process_time()
    work()
    wait_for_device(device)
    return time.monotonic() - since, time.process_time() - since_cpu


if __name__ == "__main__":
    main()
