"""What TopDis adds to a training step: python benchmarks/vae_step.py --threads 2

For each method a training without TopDis and one with it (second batch, both decodings and orthogonalization included)
take their steps in turn, on drawn dSprites. Printed are medians, the median of the ratios of neighboring steps, and
the part of the TopDis step in which barcodes are computed. A line is printed as soon as it is known. `--passes` prints
what one pass of a batch takes in the encoder and in the decoder instead.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from ganspace_topdis.runs.devices import choose_device, tune_malloc, wait_for_device
from ganspace_topdis.topology import total_persistence
from vae.data import open_data
from vae.methods import METHODS
from vae.settings import TopDisSettings, TrainSettings
from vae.training import Training

WARM_UP_STEPS = 3


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    tune_malloc()
    device = choose_device(arguments.device)
    if arguments.passes:
        print_passes(arguments, device)
        return
    print(
        f"{arguments.network} network, batch {arguments.batch_size}, {arguments.threads} threads, {device}, "
        f"{arguments.precision}; TopDis on the {arguments.batch} batch, orthogonal to {arguments.orthogonalize}; "
        f"{arguments.steps} steps each in turns{', CPU time' if arguments.busy else ''}"
    )
    print("| method | plain, ms | TopDis, ms | ratio | barcodes, % of the TopDis step |\n|---|---|---|---|---|")
    for method in arguments.methods:
        print("| " + " | ".join([method, *measured(method, arguments, device)]) + " |", flush=True)


def print_passes(arguments: argparse.Namespace, device: torch.device) -> None:
    """Prints what one pass of the batch takes forwards, and backwards to the weights, in encoder and decoder."""
    settings = TrainSettings(network=arguments.network, batch_size=arguments.batch_size)
    model = Training(settings, open_data("dsprites"), device=device).model
    height, width, channels = model.image_shape
    images = torch.rand(arguments.batch_size, channels, height, width, device=device)
    codes = torch.randn(arguments.batch_size, model.num_latents, device=device, requires_grad=True)
    for name, network, x in (("encoder", model.encoder, images), ("decoder", model.decoder, codes)):
        wanted = [*network.parameters(), x] if x.requires_grad else list(network.parameters())
        forwards_s, backwards_s = [], []
        for _ in range(WARM_UP_STEPS + arguments.steps):
            forwards_s.append(duration_s(partial(network, x), device, arguments.clock))
            backwards = partial(torch.autograd.grad, network(x).sum(), wanted)
            backwards_s.append(duration_s(backwards, device, arguments.clock))
        medians = (1000 * statistics.median(times[WARM_UP_STEPS:]) for times in (forwards_s, backwards_s))
        print("{}: {:.1f} ms forwards, {:.1f} ms backwards".format(name, *medians))


def measured(method: str, arguments: argparse.Namespace, device: torch.device) -> Iterator[str]:
    data = open_data("dsprites")
    plain, topdis = (
        Training(
            TrainSettings(
                method=method,
                topdis=term,
                network=arguments.network,
                batch_size=arguments.batch_size,
                precision=arguments.precision,
            ),
            data,
            device=device,
            compiled=arguments.compile,
            resident=device.type != "cpu",
        )
        for term in (None, topdis_settings(arguments))
    )
    for _ in range(WARM_UP_STEPS):
        plain.step(), topdis.step()
    plain_s, topdis_s = [], []
    with barcode_time(arguments.clock) as barcodes_s:
        for _ in range(arguments.steps):
            plain_s.append(duration_s(plain.step, device, arguments.clock))
            topdis_s.append(duration_s(topdis.step, device, arguments.clock))
    ratios = [slow / fast for slow, fast in zip(topdis_s, plain_s, strict=True)]
    yield from (f"{1000 * statistics.median(times):.1f}" for times in (plain_s, topdis_s))
    yield f"{statistics.median(ratios):.2f}"
    yield f"{100 * sum(barcodes_s) / sum(topdis_s):.2f}"


def topdis_settings(arguments: argparse.Namespace) -> TopDisSettings:
    return TopDisSettings(orthogonalize=arguments.orthogonalize, points=arguments.points, batch=arguments.batch)


def duration_s(step: Callable[[], object], device: torch.device, clock: Callable[[], float]) -> float:
    start_s = clock()
    step()
    wait_for_device(device)
    return clock() - start_s


@contextmanager
def barcode_time(clock: Callable[[], float]) -> Iterator[list[float]]:
    """The seconds of every call that computes barcodes within the block."""
    durations_s: list[float] = []
    compute = total_persistence.bars_of_pairs

    def timed(*arguments: Any, **options: Any) -> Any:
        start_s = clock()
        bars = compute(*arguments, **options)
        durations_s.append(clock() - start_s)
        return bars

    total_persistence.bars_of_pairs = timed
    try:
        yield durations_s
    finally:
        total_persistence.bars_of_pairs = compute


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--network", default="narrow")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--points", type=int, help="points of a cloud at most")
    parser.add_argument("--batch", choices=["second", "same"], default="second")
    parser.add_argument("--orthogonalize", choices=["none", "reconstruction", "all"], default="reconstruction")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    parser.add_argument("--compile", choices=["none", "default", "cuda-graphs"], default="none")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--passes", action="store_true", help="print what single passes take")
    parser.add_argument("--busy", action="store_true", help="count this process's CPU time, where others run too")
    arguments = parser.parse_args()
    arguments.clock = time.process_time if arguments.busy else time.perf_counter
    return arguments


if __name__ == "__main__":
    main()
