"""The search of the whole code in W+, a vector per layer, from the directions that the default search finds in w.

    python benchmarks/directions.py scenes --methods topdis --seeds 0-4        # finds the directions of w
    python benchmarks/direction_layers.py scenes --seeds 0-4 --steps 50        # about two minutes of one core per cell

Rows of Markdown: the calibrated share of the start, of the directions that are kept where they improve
(`discovery.acceptance`), and of all; own changes of the second. The plan is docs/results/directions/plan.md.
"""

import argparse
import itertools
import time
from pathlib import Path

import torch
from directions import path_of

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.latent.directions import Directions
from stylegan2.bench.rungs import RUNGS, Network, rung_named
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.runs.search import in_every_layer
from stylegan2.settings import parse_numbers
from stylegan2.space import LatentSpace

TITLES = (
    *("rung", "seed", "steps", "spread", "in w", "in W+", "all kept", "own change", "weakest change", "improved"),
    "seconds",
)


def row(rung: Network, start: Directions, seed: int, steps: int, spread: float) -> tuple[str, ...]:
    """The scores of a search in W+ that starts at directions of w."""
    generator, resolution = rung.latent_space.generator, rung.latent_space.resolution
    space = LatentSpace(generator=generator, name="w+", resolution=resolution)
    settings = DiscoverySettings(
        search_in="whole",
        whitening="layers",
        layer_spread=spread,
        steps=steps,
        seed=seed,
        num_directions=rung.num_directions,
    )
    since = time.process_time()
    with frozen_weights():
        search = Discovery(space.features, space.sample_codes, settings)
        search.initialize_near(in_every_layer(start, generator.num_ws))
        search.run()
        kept = search.accepted()
    seconds = time.process_time() - since
    sets = (rung.score(start, seed), rung.score(kept, seed), rung.score(search.directions(), seed))
    shares = [f"{scores['share']:.3f}" for scores in sets]
    changes = [f"{sets[1][name]:.2f}" for name in ("own_change", "weakest_change")]
    improved = str(sum(kept.metadata["improved"]))
    return (rung.name, str(seed), str(steps), f"{spread:g}", *shares, *changes, improved, f"{seconds:.0f}")


def _fractions(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rungs", nargs="+", metavar="RUNG", choices=RUNGS[1:], help=f"of {', '.join(RUNGS[1:])}")
    parser.add_argument("--seeds", type=parse_numbers, default=(0, 1, 2, 3, 4))
    parser.add_argument("--steps", type=parse_numbers, default=(50,), help="numbers of steps in W+")
    parser.add_argument("--spreads", type=_fractions, default=(1.0,), help="values of --layer-spread")
    parser.add_argument("--cells", type=Path, default=Path("runs/directions"), help="folder of directions.py")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    print(f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}", flush=True)
    for name in options.rungs:
        rung = rung_named(name)
        assert isinstance(rung, Network)
        found = argparse.Namespace(cells=options.cells, steps=None)
        for seed in options.seeds:
            path = path_of(found, rung, "topdis", seed)
            start = Directions.load(path.with_suffix(".safetensors"))
            for steps, spread in itertools.product(options.steps, options.spreads):
                print(f"| {' | '.join(row(rung, start, seed, steps, spread))} |", flush=True)


if __name__ == "__main__":
    main()
