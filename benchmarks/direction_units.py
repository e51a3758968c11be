"""How much a factor changes by one unit of its direction, which is a comparable change of the features.

    python benchmarks/directions.py scenes scenes-64 pebbles --methods topdis --seeds 0-4    # finds the directions
    python benchmarks/direction_units.py scenes scenes-64 pebbles --methods topdis --seeds 0-4

The directions are those that `directions.py` stored, so both take the same options. Units are those of `discover`: each
direction moves the features by 0.2 of the distance of two random codes, with two standard deviations at most. Changes
are those of the factor network's readings, over the mean change between random images, as in the tables of
docs/directions.md, where they are of one standard deviation. Half a minute of one core per cell.
"""

import dataclasses
import statistics

import torch
from directions import arguments, kept, read

from ganspace_topdis.discovery.held_out import evaluate_held_out, rank
from ganspace_topdis.latent.directions import Directions
from stylegan2.bench.rungs import Network, rung_named
from stylegan2.ops.weight_cache import frozen_weights

_STREAM = 20_000


def changes_at_one_unit(rung: Network, directions: Directions, seed: int) -> tuple[list[float], list[float]]:
    """The change of each factor by one unit of its direction, and the units in standard deviations."""
    space = rung.spaces[directions.code_dim]
    with frozen_weights():
        held_out = evaluate_held_out(
            *(space.features, space.sample_codes, directions), num_batches=5, num_random=1, seed=_STREAM + seed
        )
    calibrated = rank(directions, held_out)
    of_units = {name: value for name, value in calibrated.metadata.items() if name != "unit"}
    found = rung.rescore(dataclasses.replace(calibrated, metadata=of_units), seed)
    return found.own_change, calibrated.metadata["unit"]


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    torch.set_num_threads(1)
    for name in options.rungs:
        rung = rung_named(name)
        if not isinstance(rung, Network):
            continue
        for cell in read(options, rung):
            changes, units = changes_at_one_unit(rung, kept(options, rung, cell.method, cell.seed), cell.seed)
            shown, mean = ", ".join(f"{change:.2f}" for change in changes), statistics.fmean(changes)
            print(
                f"{name}, {cell.method}, seed {cell.seed}: own change at one unit {shown}; mean {mean:.2f}, weakest "
                f"{min(changes):.2f}; units of {min(units):.2f} to {max(units):.2f} standard deviations",
                flush=True,
            )


if __name__ == "__main__":
    main()
