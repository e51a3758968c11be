"""The generator's speed beside its plain form, in one run: python benchmarks/generator.py

On a CPU: forward, and features at 16 px with their gradient. With --device cuda also with the compiled operations
and with torch.compile, forward and forward with backward. The forms are timed in turns, the best of each is kept,
and their results are compared with the plain form's.
"""

import argparse
import time
from collections.abc import Callable

import torch
from plain_generator import plain_features, plain_images
from torch import Tensor

from stylegan2 import Generator

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


def best_times(forms: dict[str, Form], w: Tensor, repeats: int) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of each form, and its largest difference from the plain one."""
    times, differences = dict.fromkeys(forms, float("inf")), {}
    expected = forms["plain"](w)
    for name, form in forms.items():  # warmed up: libraries choose algorithms and compilers run at the first call
        differences[name] = float((form(w) - expected).abs().max())
    for _ in range(repeats):
        for name, form in forms.items():
            _wait(w)
            start = time.perf_counter()
            form(w)
            _wait(w)
            times[name] = min(times[name], time.perf_counter() - start)
    return times, differences


def _wait(w: Tensor) -> None:
    if w.is_cuda:
        torch.cuda.synchronize()


def forms_of(generator: Generator, compiled: bool) -> dict[str, dict[str, Form]]:
    """What is timed, and in which forms."""
    images: dict[str, Form] = {"plain": lambda w: plain_images(generator, w), "ours": generator.synthesis}
    features: dict[str, Form] = {
        "plain": lambda w: plain_features(generator, w, 16),
        "ours": lambda w: generator.synthesis.features(w, 16),
    }
    if compiled:
        images["compiled plain"] = torch.compile(images["plain"])
        features["compiled plain"] = torch.compile(features["plain"])
    work = {
        "forward": {name: without_gradient(form) for name, form in images.items()},
        "features at 16 px and back": {name: with_gradient(form) for name, form in features.items()},
    }
    if compiled:
        work["forward and back"] = {name: with_gradient(form) for name, form in images.items()}
    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--batch", type=int, default=[1, 4], nargs="+")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="time torch.compile of the plain form too")
    options = parser.parse_args()
    torch.manual_seed(0)
    generator = Generator(img_resolution=options.resolution).eval().requires_grad_(False).to(options.device)
    threads = torch.get_num_threads()
    print(f"config-f, {options.resolution} px, {options.device}, {threads} threads, torch {torch.__version__}")
    print("| batch | what | form | seconds | against plain | largest difference |\n|---|---|---|---|---|---|")
    for batch in options.batch:
        w = generator.mapping(torch.randn(batch, generator.z_dim))
        for label, forms in forms_of(generator, options.compile).items():
            times, differences = best_times(forms, w, options.repeats)
            for name, seconds in times.items():
                ratio = times["plain"] / seconds
                print(
                    f"| {batch} | {label} | {name} | {seconds:.3f} | {ratio:.2f} | {differences[name]:.1e} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
