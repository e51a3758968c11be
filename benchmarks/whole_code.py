"""Searches in a span and in the whole code, compared as docs/results/directions/plan.md says.

    OMP_NUM_THREADS=1 python benchmarks/whole_code.py --seeds 100                  # every row, an hour of one core
    OMP_NUM_THREADS=1 python benchmarks/whole_code.py refined,refined-layers --seeds 0-1
    OMP_NUM_THREADS=1 python benchmarks/whole_code.py --hand-built --seeds 100

A cell is one row with one seed on the packaged 32 px generator. Its scores are printed as a line of CSV, and its
directions are kept in --cells: rows that start at the directions of span-topdis need them. With --hand-built the search
of the whole code is started at the directions that TopDis finds on the hand-built generator from a random rotation.
"""

import argparse
import csv
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import torch

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.evaluation.matching import recovery
from ganspace_topdis.generators import HandBuiltGenerator
from ganspace_topdis.latent.directions import Directions
from stylegan2.bench.rungs import Network
from stylegan2.loading import load
from stylegan2.runs.search import carried_over
from stylegan2.settings import parse_numbers
from stylegan2.space import LatentSpace

WHOLE: dict[str, Any] = {"search_in": "whole", "steps": 50, "learning_rate": 0.04}
REFINED: dict[str, Any] = {"search_in": "whole", "steps": 50}
ROWS: dict[str, dict[str, Any]] = {
    "axes": {"steps": 0},
    "span-topdis": {"search_in": "span"},
    "whole-topdis": {**WHOLE, "overlap": 0.0},
    "whole-topdis-overlap": WHOLE,
    "whole-overlap": {**WHOLE, "method": "overlap"},
    "whole-hessian": {**WHOLE, "method": "hessian", "overlap": 0.0},
    "whole-hessian-overlap": {**WHOLE, "method": "hessian"},
    "layers-topdis-overlap": {**WHOLE, "whitening": "layers"},
    "refined": REFINED,
    "refined-layers": {**REFINED, "whitening": "layers"},
}
"""The settings of every row; refined rows start at the directions of span-topdis."""

HAND_BUILT: dict[str, dict[str, Any]] = {
    "topdis, overlap": {},
    "topdis": {"overlap": 0.0},
    "topdis, orthogonality 10, overlap 1": {"orthogonality": 10.0, "overlap": 1.0},
    "overlap": {"method": "overlap"},
    "hessian, overlap": {"method": "hessian"},
    "hessian": {"method": "hessian", "overlap": 0.0},
}


def find(row: str, seed: int, space: LatentSpace, cells: Path) -> Directions:
    """The directions of a row."""
    settings = DiscoverySettings(seed=seed, **ROWS[row])
    search = Discovery(space.features, space.sample_codes, settings)
    if row.startswith("refined"):
        start = Directions.load(cells / f"span-topdis_{seed}.safetensors")
        search.initialize_near(carried_over(start, space) if space.name == "w+" else start)
    search.run()
    return search.directions()


def measure(row: str, seed: int, cells: Path) -> dict[str, Any]:
    """The scores of a row with one seed; its directions are stored in `cells`."""
    name = "w+" if ROWS[row].get("whitening") == "layers" else "w"
    space = LatentSpace(generator=load("scenes"), name=name, resolution=32)
    since = time.process_time()
    found = find(row, seed, space, cells)
    seconds = time.process_time() - since
    cells.mkdir(parents=True, exist_ok=True)
    found.save(cells / f"{row}_{seed}.safetensors")
    scores = Network("scenes", "scenes").rescore(found, seed).as_dict()
    shares = dict(zip(scores["factors"], scores["share"], strict=True))
    rounded = {factor: round(share, 4) for factor, share in shares.items()}
    return {"row": row, "seed": seed, "share": round(scores["mean_share"], 4), **rounded, "seconds": round(seconds)}


def measure_hand_built(seed: int) -> list[dict[str, Any]]:
    """|cos| to the true directions in the span from a random rotation, and after a search of the whole code there."""
    generator = HandBuiltGenerator(seed=seed)
    settings = DiscoverySettings(
        search_in="span", span="identity", num_directions=6, initialization="random", steps=250, seed=seed
    )
    search = Discovery(generator, generator.sample_codes, settings)
    search.run()
    start = search.directions()
    results = {"span-topdis": start}
    for name, more in HAND_BUILT.items():
        refined = dataclasses.replace(settings, **{"search_in": "whole", "steps": 60, **more})
        search = Discovery(generator, generator.sample_codes, refined)
        search.initialize_near(start)
        search.run()
        results[name] = search.directions()
    rows = []
    for name, directions in results.items():
        found = recovery(directions.vectors, generator.true_directions)
        rows.append({"row": name, "seed": seed, "mean": round(found.mean, 3), "worst": round(found.worst, 3)})
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", default=",".join(ROWS), help="names of rows, all by default")
    parser.add_argument("--seeds", type=parse_numbers, default=(0, 1, 2, 3, 4))
    parser.add_argument("--cells", type=Path, default=Path("runs/whole-code"))
    parser.add_argument("--hand-built", action="store_true")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    writer = None
    for seed in options.seeds:
        names = [None] if options.hand_built else options.rows.split(",")
        for name in names:
            for line in measure_hand_built(seed) if name is None else [measure(name, seed, options.cells)]:
                if writer is None:
                    writer = csv.DictWriter(sys.stdout, line.keys(), lineterminator="\n")
                    writer.writeheader()
                writer.writerow(line)
                sys.stdout.flush()


if __name__ == "__main__":
    main()
