"""The generator's speed beside its plain form, in one run: python benchmarks/generator.py

On a CPU: forward, and features at 16 px with their gradient. With --device cuda also forward with its gradient, and
ours without the compiled operations and with the four highest resolutions in half precision; with --compile also
torch.compile of the plain form. The forms are timed in turn, the best time of each counts, and their results are
compared with the plain form's.
"""

import argparse
import os
import time
from collections.abc import Callable
from unittest import mock

import torch
from plain_generator import plain_features, plain_images
from torch import Tensor

from ganspace_topdis.runs.devices import wait_for_device
from stylegan2 import Generator
from stylegan2.ops.build import VARIABLE

Form = Callable[[Tensor], Tensor]


def without_gradient(form: Form) -> Form:
    def work(w: Tensor) -> Tensor:
        with torch.no_grad():
            return form(w)

    return work


def with_gradient(form: Form) -> Form:
    def work(w: Tensor) -> Tensor:
        w = w.clone().requires_grad_()
        form(w).square().mean().backward()
        assert w.grad is not None
        return w.grad

    return work


def best_times(
    forms: dict[str, Form], w: Tensor, repeats: int, clock: Callable[[], float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of each form, and its largest difference from the plain one."""
    times, differences = dict.fromkeys(forms, float("inf")), {}
    expected = forms["plain"](w)
    for name, form in forms.items():  # warmed up: libraries choose algorithms and compilers run at the first call
        differences[name] = float((form(w) - expected).abs().max())
    for _ in range(repeats):
        for name, form in forms.items():
            wait_for_device(w.device)
            start = clock()
            form(w)
            wait_for_device(w.device)
            times[name] = min(times[name], clock() - start)
    return times, differences


def without_operations(form: Form) -> Form:
    def work(w: Tensor) -> Tensor:
        with mock.patch.dict(os.environ, {VARIABLE: "off"}):
            return form(w)

    return work


def in_half(generator: Generator) -> Generator:
    options = {**generator.config.to_dict(), "num_fp16_res": 4}
    with torch.device("meta"):
        half = Generator(**options)
    half.load_state_dict(generator.state_dict(), assign=True)
    return half.eval().requires_grad_(False)


def forms_of(generator: Generator, compiled: bool) -> dict[str, dict[str, Form]]:
    """The timed operations, and their forms."""
    images: dict[str, Form] = {"plain": lambda w: plain_images(generator, w), "ours": generator.synthesis}
    features: dict[str, Form] = {
        "plain": lambda w: plain_features(generator, w, 16),
        "ours": lambda w: generator.synthesis.features(w, 16),
    }
    if compiled:
        images["plain, torch.compile"] = torch.compile(images["plain"])
        features["plain, torch.compile"] = torch.compile(features["plain"])
    on_gpu = next(generator.parameters()).is_cuda
    if on_gpu:
        images["ours, without compiled operations"] = without_operations(images["ours"])
        features["ours, without compiled operations"] = without_operations(features["ours"])
    work = {
        "forward": {name: without_gradient(form) for name, form in images.items()},
        "features at 16 px and back": {name: with_gradient(form) for name, form in features.items()},
    }
    if on_gpu:
        work["forward"]["ours, four resolutions in half"] = without_gradient(in_half(generator).synthesis)
        work["forward and back"] = {name: with_gradient(form) for name, form in images.items()}
    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--batch", type=int, default=[1, 4], nargs="+")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu-time", action="store_true", help="count this process's seconds, on a busy machine")
    parser.add_argument("--compile", action="store_true", help="time torch.compile of the plain form too")
    options = parser.parse_args()
    torch.manual_seed(0)
    generator = Generator(img_resolution=options.resolution).eval().requires_grad_(False).to(options.device)
    clock = time.process_time if options.cpu_time else time.perf_counter
    threads = torch.get_num_threads()
    print(f"config-f, {options.resolution} px, {options.device}, {threads} threads, torch {torch.__version__}")
    print("| batch | what | form | seconds | against plain | largest difference |\n|---|---|---|---|---|---|")
    for batch in options.batch:
        w = generator.mapping(torch.randn(batch, generator.z_dim).to(options.device))
        for label, forms in forms_of(generator, options.compile).items():
            times, differences = best_times(forms, w, options.repeats, clock)
            for name, seconds in times.items():
                ratio = times["plain"] / seconds
                print(
                    f"| {batch} | {label} | {name} | {seconds:.3f} | {ratio:.2f} | {differences[name]:.1e} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
