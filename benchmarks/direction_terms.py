"""What every term of the search in the whole code is worth: the default, and the default without each.

    python benchmarks/direction_terms.py scenes-64 pebbles --seeds 0-4    # up to a minute of one core per row

Rows of Markdown: the calibrated share of the span's directions, where all rows but the last start, of the directions
that are kept where they improve (`discovery.acceptance`), and of all; own changes of the second. The last row starts at
a random rotation of the span's axes. The plan is docs/results/directions/plan.md.
"""

import argparse
import dataclasses
from typing import Any

from direction_layers import FOUND, measured, networks

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.latent.directions import Directions
from stylegan2.bench.rungs import RUNGS, Network
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.settings import parse_numbers

TITLES = ("rung", "seed", "search", *FOUND)

RANDOM_START = "random start"
ROWS: dict[str, dict[str, Any]] = {
    "default": {},
    "without RTD": {"method": "overlap"},
    "RTD not divided by the effect": {"effect_power": 0.0},
    "without orthogonality": {"orthogonality": 0.0},
    "without overlap": {"overlap": 0.0},
    "without orthogonality and overlap": {"orthogonality": 0.0, "overlap": 0.0},
    "without a least effect": {"least_effect": 0.0},
    "shifts of one length": {"shift_spread": 0.0},
    "32 codes a step": {"batch_size": 32},
    "128 codes a step": {"batch_size": 128},
    RANDOM_START: {"search_in": "both", "initialization": "random"},
}
"""What a row changes in the settings of a search."""


def span_directions(rung: Network, seed: int) -> Directions:
    """Where the default search in the span ends."""
    settings = DiscoverySettings(seed=seed, num_directions=rung.num_directions, search_in="span")
    search = Discovery(rung.latent_space.features, rung.latent_space.sample_codes, settings)
    search.run()
    return search.directions()


def row(rung: Network, name: str, seed: int, start: Directions, steps: int | None = None) -> tuple[str, ...]:
    """The scores of a search, in the order of `TITLES`; `steps` of the whole code instead of the default's."""
    whole = DiscoverySettings.steps // 4 if steps is None else steps
    settings = DiscoverySettings(seed=seed, num_directions=rung.num_directions, search_in="whole", steps=whole)
    if name == RANDOM_START:
        settings = dataclasses.replace(settings, steps=4 * whole)
    settings = dataclasses.replace(settings, **ROWS[name])
    search = Discovery(rung.latent_space.features, rung.latent_space.sample_codes, settings)
    if name != RANDOM_START:
        search.initialize_near(start)
    return (rung.name, str(seed), name, *measured(rung, search, settings, None if name == RANDOM_START else start))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rungs", nargs="+", metavar="RUNG", choices=RUNGS[1:], help=f"of {', '.join(RUNGS[1:])}")
    parser.add_argument("--seeds", type=parse_numbers, default=(0, 1, 2, 3, 4))
    parser.add_argument("--rows", type=lambda text: text.split(","), default=list(ROWS), help=", ".join(ROWS))
    parser.add_argument("--steps", type=int, help="in the whole code, instead of the default's")
    options = parser.parse_args(argv)
    for unknown in {*options.rows} - {*ROWS}:
        parser.error(f"{unknown!r} is no row; those are {', '.join(ROWS)}")
    for rung in networks(TITLES, options.rungs):
        for seed in options.seeds:
            with frozen_weights():
                start = span_directions(rung, seed)
                for each in options.rows:
                    print(f"| {' | '.join(row(rung, each, seed, start, options.steps))} |", flush=True)


if __name__ == "__main__":
    main()
