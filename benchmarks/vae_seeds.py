"""Whether several seeds of one setting train faster stacked in one process: python benchmarks/vae_seeds.py --seeds 4

K models of one architecture take steps of the beta-VAE on batches of their own: one after the other, like K runs, and
stacked (`torch.func.stack_module_state`, `torch.func.vmap`), where every layer is one batched product or grouped
convolution. Printed are the medians of both a step of all K, the median of their ratios in turns, and how far the
gradients are apart. A ratio above 1 means that stacking pays off.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.runs.devices import wait_for_device
from vae.methods.method import gaussian_kl, reconstruction_loss
from vae.networks import AutoEncoder, build_networks

BETA = 4.0
WARM_UP_STEPS = 2
Steps = dict[str, Tensor]


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.busy else time.perf_counter
    print(
        f"{arguments.seeds} seeds, batch {arguments.batch_size}, {arguments.threads} threads, {arguments.device}, "
        f"{arguments.steps} steps each in turns{', CPU time' if arguments.busy else ''}"
    )
    print("| network | one by one, ms | stacked, ms | ratio | gradients apart |\n|---|---|---|---|---|")
    for name in arguments.networks:
        network, _, width = name.partition(":")
        print(f"| {name} | {measured(network, float(width or 1), arguments, clock)} |", flush=True)


def measured(network: str, width: float, arguments: argparse.Namespace, clock: Callable[[], float]) -> str:
    torch.manual_seed(0)
    models = [
        build_networks(network, image_shape=(64, 64, 1), num_latents=10, width=width) for _ in range(arguments.seeds)
    ]
    for model in models:
        model.to(arguments.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    one_by_one, stacked = OneByOne(models), Stacked(models)
    apart = 0.0
    times_s: dict[str, list[float]] = {"one by one": [], "stacked": []}
    for step in range(WARM_UP_STEPS + arguments.steps):
        images = (torch.rand(arguments.seeds, arguments.batch_size, 1, 64, 64) < 0.1).float().to(arguments.device)
        noise = torch.randn(arguments.seeds, arguments.batch_size, 10).to(arguments.device)
        first, first_s = timed(lambda: one_by_one.gradients(images, noise), clock, arguments.device)  # noqa: B023
        second, second_s = timed(lambda: stacked.gradients(images, noise), clock, arguments.device)  # noqa: B023
        apart = max(apart, farthest(first, second))
        if step >= WARM_UP_STEPS:
            times_s["one by one"].append(first_s)
            times_s["stacked"].append(second_s)
    ratio = statistics.median(a / b for a, b in zip(*times_s.values(), strict=True))
    medians = [f"{1000 * statistics.median(times):.1f}" for times in times_s.values()]
    return " | ".join([*medians, f"{ratio:.2f}", f"{apart:.0e}"])


class OneByOne:
    """The gradients of K models, each from its own backward pass."""

    def __init__(self, models: list[AutoEncoder]) -> None:
        self._models = models

    def gradients(self, images: Tensor, noise: Tensor) -> Steps:
        found = [
            torch.autograd.grad(loss(model.encoder, model.decoder, *batch), list(model.parameters()))
            for model, *batch in zip(self._models, images, noise, strict=True)
        ]
        names = [name for name, _ in self._models[0].named_parameters()]
        return {name: torch.stack(parts) for name, parts in zip(names, zip(*found, strict=True), strict=True)}


class Stacked:
    """The same by one pass over stacked parameters."""

    def __init__(self, models: list[AutoEncoder]) -> None:
        stacked, _ = torch.func.stack_module_state(models)
        self._parameters = {name: parameter.detach() for name, parameter in stacked.items()}
        skeleton = copy.deepcopy(models[0]).to("meta")

        def of_one(parameters: Steps, images: Tensor, noise: Tensor) -> Tensor:
            def part(name: str) -> Callable[[Tensor], Any]:
                own = {key.removeprefix(f"{name}."): p for key, p in parameters.items() if key.startswith(f"{name}.")}
                return lambda x: torch.func.functional_call(getattr(skeleton, name), own, (x,))

            return loss(part("encoder"), part("decoder"), images, noise)

        self._gradients = torch.func.vmap(torch.func.grad(of_one))

    def gradients(self, images: Tensor, noise: Tensor) -> Steps:
        found: Steps = self._gradients(self._parameters, images, noise)
        return found


def loss(
    encode: Callable[[Tensor], Tensor], decode: Callable[[Tensor], Tensor], images: Tensor, noise: Tensor
) -> Tensor:
    """The beta-VAE's."""
    mean, logvar = encode(images).chunk(2, dim=1)
    logits = decode(mean + (0.5 * logvar).exp() * noise)
    return reconstruction_loss(logits, images) + BETA * gaussian_kl(mean, logvar).sum()


def timed(work: Callable[[], Steps], clock: Callable[[], float], device: str) -> tuple[Steps, float]:
    start_s = clock()
    result = work()
    wait_for_device(device)
    return result, clock() - start_s


def farthest(first: Steps, second: Steps) -> float:
    """The largest distance of two gradients of a tensor, relative to its norm."""
    return max(float((first[name] - second[name]).norm() / first[name].norm()) for name in first)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["fc:0.25", "narrow"], help="NAME or NAME:WIDTH")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--busy", action="store_true", help="count this process's CPU time, where others run too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
