"""The whole code of W+ (a vector per layer) and of S (a number per style channel), searched.

    python benchmarks/directions.py scenes --methods topdis --seeds 0-4              # finds the directions of w
    python benchmarks/direction_layers.py scenes --seeds 0-4                         # from those, two minutes per cell
    python benchmarks/direction_layers.py scenes --seeds 0-4 --space s --from span   # from a search in the span

Rows of Markdown: the calibrated share of the start, of the directions that are kept where they improve
(`discovery.acceptance`), and of all; own changes of the second. The plan is docs/results/directions/plan.md.
"""

import argparse
import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from directions import path_of

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.discovery.settings import SEARCH_METHODS, SearchMethod
from ganspace_topdis.latent.directions import Directions
from stylegan2.bench.rungs import RUNGS, Network, rung_named
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.runs.search import carried_over
from stylegan2.settings import WHITENING, parse_numbers

FOUND = ("start", "kept", "all", "own change", "weakest change", "improved", "seconds")
TITLES = ("rung", "space", "from", "seed", "steps", "spread", *FOUND)

SPAN_STEPS = DiscoverySettings.steps


def row(
    rung: Network,
    name: str,
    start: Directions | None,
    seed: int,
    steps: int,
    spread: float = 1.0,
    *,
    images: bool = False,
    method: SearchMethod = "topdis",
) -> tuple[str, ...]:
    """The scores of a search in the space of that name, w+ or s, in the order of `TITLES`.

    It starts at directions of w, or without them where the default search in the span of the space ends.
    """
    space = rung.space_named(name)
    if images:
        space = dataclasses.replace(space, resolution=None)
    settings = DiscoverySettings(
        method=method,
        search_in="both" if start is None else "whole",
        whitening=WHITENING[name],
        layer_spread=spread,
        steps=SPAN_STEPS if start is None else steps,
        whole_steps=steps if start is None else None,
        seed=seed,
        num_directions=rung.num_directions,
    )
    with frozen_weights():
        search = Discovery(space.features, space.sample_codes, settings)
        if start is not None:
            search.initialize_near(carried_over(start, space))
        found = measured(rung, search, settings, start)
    whence = "span" if start is None else "w"
    return (rung.name, name, whence, str(seed), str(steps), f"{spread:g}", *found)


def measured(
    rung: Network, search: Discovery, settings: DiscoverySettings, start: Directions | None
) -> tuple[str, ...]:
    """What a search finds, in the order of `FOUND`; without a `start`, it starts where its steps in the span end."""
    since = time.process_time()
    if start is None:
        while search.step_index < settings.steps:
            search.step()
        start = search.directions()
    search.run()
    kept = search.accepted()
    seconds = time.process_time() - since
    sets = [rung.score(each, settings.seed) for each in (start, kept, search.directions())]
    shares = [f"{scores['share']:.3f}" for scores in sets]
    changes = [f"{sets[1][name]:.2f}" for name in ("own_change", "weakest_change")]
    return (*shares, *changes, str(sum(kept.metadata["improved"])), f"{seconds:.0f}")


def networks(titles: Sequence[str], names: Sequence[str]) -> Iterator[Network]:
    """Print the head of a table, and yield the rungs of these names, for one thread."""
    torch.set_num_threads(1)
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}", flush=True)
    for name in names:
        rung = rung_named(name)
        assert isinstance(rung, Network)
        yield rung


def _fractions(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rungs", nargs="+", metavar="RUNG", choices=RUNGS[1:], help=f"of {', '.join(RUNGS[1:])}")
    parser.add_argument("--space", choices=("w+", "s"), default="w+")
    parser.add_argument("--from", choices=("w", "span"), default="w", dest="whence", help="where the search starts")
    parser.add_argument("--seeds", type=parse_numbers, default=(0, 1, 2, 3, 4))
    parser.add_argument("--steps", type=parse_numbers, default=(25,), help="numbers of steps in the whole code")
    parser.add_argument("--spreads", type=_fractions, default=(1.0,), help="values of --layer-spread")
    parser.add_argument("--images", action="store_true", help="compare images instead of the default features")
    parser.add_argument("--method", choices=SEARCH_METHODS, default="topdis")
    parser.add_argument("--cells", type=Path, default=Path("runs/directions"), help="folder of directions.py")
    options = parser.parse_args(argv)
    for rung in networks(TITLES, options.rungs):
        for seed in options.seeds:
            start = None
            if options.whence == "w":
                start = Directions.load(path_of(options.cells, rung, options.method, seed).with_suffix(".safetensors"))
            for steps, spread in itertools.product(options.steps, options.spreads):
                more = {"images": options.images, "method": options.method}
                print(f"| {' | '.join(row(rung, options.space, start, seed, steps, spread, **more))} |", flush=True)


if __name__ == "__main__":
    main()
