"""Directions that leave the span, kept only where a score without truth improves: docs/results/directions/plan.md.

    python benchmarks/direction_acceptance.py scenes hand-built --seeds 200,201      # chooses
    python benchmarks/direction_acceptance.py scenes hand-built --seeds 0-4 --rows span,refined-orthonormal
    python benchmarks/direction_acceptance.py --table

Every search of a rung and a seed is stored in --cells, and so are the scores of every row, so an interrupted run
resumes. Times are processor time of one thread.
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from directions import HAND_BUILT_STEPS
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.discovery.active_subspace import identity_span
from ganspace_topdis.discovery.equal_effect import (
    ShiftedBatch,
    equal_effect_amounts,
    mixed_difference,
    overlap,
    profile,
)
from ganspace_topdis.discovery.micro_batch import features_of
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import write_json
from stylegan2.direction_rungs import RUNGS, HandBuilt, Rung, rung_named
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.picture_settings import parse_numbers

REFINED: dict[str, Any] = {"search_in": "whole", "steps": 50}
SEARCHES: dict[str, dict[str, Any]] = {
    "span": {},
    "refined": REFINED,
    "refined-orthonormal": {**REFINED, "orthonormal": True},
    "orthonormal": {"search_in": "whole", "orthonormal": True, "learning_rate": 0.1},
}
"""The settings of the searches; those that are refined start at the directions of the span."""

ACCEPTED_BY = {
    "overlap": ("overlap",),
    "mixed": ("mixed",),
    "rtd": ("rtd",),
    "overlap-rtd": ("overlap", "rtd"),
}
"""The scores that a refined direction has to improve, by the name of the rule."""

ANGLES_DEG = (10, 20, 30)
ROWS = (
    *SEARCHES,
    *(f"{search} by {rule}" for search in ("refined", "refined-orthonormal") for rule in ACCEPTED_BY),
    *(f"refined within {angle}" for angle in ANGLES_DEG),
)
NUM_CLOUDS, CLOUD_SIZE, NUM_CALIBRATED = 10, 64, 32
_STREAM = 30_000


class Case:
    """A rung with a seed: its searches, and the rows made of them."""

    def __init__(self, rung: Rung, seed: int, cells: Path) -> None:
        self.rung, self.seed, self.cells = rung, seed, cells
        self.space = rung.space(seed)

    def path(self, name: str) -> Path:
        return self.cells / f"{self.rung.name}_{self.seed}_{name.replace(' ', '_')}"

    def search(self, name: str) -> Directions:
        """The directions of a search, stored with its time."""
        path = self.path(name).with_suffix(".safetensors")
        if path.exists():
            return Directions.load(path)
        common: dict[str, Any] = {"seed": self.seed}
        if isinstance(self.rung, HandBuilt):
            common |= {"span": "identity", "num_directions": 6, "initialization": "random", "steps": HAND_BUILT_STEPS}
        search = Discovery(
            self.space.generate, self.space.sample_codes, DiscoverySettings(**{**common, **SEARCHES[name]})
        )
        start = self.search("span") if name.startswith("refined") else None
        since = time.process_time()
        if start is not None:
            search.initialize_near(start)
        search.run()
        self.cells.mkdir(parents=True, exist_ok=True)
        directions = dataclasses.replace(search.directions(), metadata={"seconds": round(time.process_time() - since)})
        directions.save(path)
        return directions

    def row(self, name: str) -> dict[str, Any]:
        """The scores of a row, and the directions that were accepted."""
        search, by, rule = name.partition(" by ")
        search, within, angle = search.partition(" within ")
        found = self.search(search)
        vectors, facts = found.vectors, {}
        if by:
            keep = self.accepted(search, rule)
            facts["accepted"] = [index for index, kept in enumerate(keep.tolist()) if kept]
            vectors = torch.where(keep[:, None], found.vectors, self.search("span").vectors)
        elif within:
            vectors = self.turned_back(found.vectors, float(angle))
        elif search != "span":
            facts["degrees"] = [round(degrees) for degrees in self.angles(found.vectors).tolist()]
        seconds = {} if by or within else {"seconds": found.metadata["seconds"]}
        return {**self.rung.score(self.rung.directions_of(vectors, self.seed), self.seed), **seconds, **facts}

    def white(self, vectors: Tensor) -> Tensor:
        """Unit coordinates (K, M) of vectors (K, D) in the whitened code."""
        with torch.no_grad():
            codes = self.space.sample_codes(10_000, torch.Generator().manual_seed(_STREAM + self.seed))
        self._white = identity_span(codes)
        return F.normalize(vectors @ self._white.projection.T, dim=1)

    def angles(self, vectors: Tensor) -> Tensor:
        """(K,), degrees between vectors and those of the span."""
        cosines = (self.white(vectors) * self.white(self.search("span").vectors)).sum(1)
        return cosines.clamp(-1, 1).arccos().rad2deg()

    def turned_back(self, vectors: Tensor, degrees: float) -> Tensor:
        """Vectors turned toward those of the span until the angle is at most `degrees`, on a great circle."""
        start, end = self.white(self.search("span").vectors), self.white(vectors)
        angle = (start * end).sum(1, keepdim=True).clamp(-1, 1).arccos()
        allowed = angle.clamp(max=torch.tensor(degrees).deg2rad().item())
        away = F.normalize(end - (start * end).sum(1, keepdim=True) * start, dim=1)
        return (allowed.cos() * start + allowed.sin() * away) @ self._white.axes

    def accepted(self, search: str, rule: str) -> Tensor:
        """(K,), whether each direction of a search improves every score of the rule, where it is replaced alone."""
        path = self.path(f"{search} differences").with_suffix(".json")
        if not path.exists():
            write_json(path, {name: rows.tolist() for name, rows in self.differences(search).items()})
        improved = [_improves(torch.tensor(json.loads(path.read_text())[name])) for name in ACCEPTED_BY[rule]]
        return torch.stack(improved).all(0)

    @torch.no_grad()
    def differences(self, search: str) -> dict[str, Tensor]:
        """By score, (K, B): what each refined direction improves on each cloud."""
        rng = torch.Generator().manual_seed(_STREAM + 1000 + self.seed)
        sets = [self.search("span"), self.search(search)]
        sets = [self.rung.directions_of(each.vectors, self.seed) for each in sets]

        def features(codes: Tensor) -> Tensor:
            return features_of(self.space.generate, codes, CLOUD_SIZE)

        calibrated = ShiftedBatch(features, self.space.sample_codes(NUM_CALIBRATED, rng))
        amounts = [equal_effect_amounts(calibrated, each) for each in sets]
        clouds = []
        for place in range(NUM_CLOUDS):
            batch = ShiftedBatch(features, self.space.sample_codes(CLOUD_SIZE, rng))
            clouds.append(_improvements(batch, sets, amounts, (-1) ** place))
        return {name: torch.stack([cloud[name] for cloud in clouds], dim=1) for name in clouds[0]}


def _improvements(
    batch: ShiftedBatch, sets: list[Directions], amounts: list[list[float]], sign: int
) -> dict[str, Tensor]:
    """By score, (K,): the score of each direction of the first set, less that of the second in its place."""
    count = sets[0].num_directions
    shifts = [[(each, row, sign * own[row]) for row in range(count)] for each, own in zip(sets, amounts, strict=True)]
    changes = [[batch.change([shift]) for shift in each] for each in shifts]
    profiles = [[profile(change) for change in each] for each in changes]
    found: dict[str, list[float]] = {"overlap": [], "rtd": [], "mixed": []}
    for row in range(count):
        others = [other for other in range(count) if other != row]
        next_row = (row + 1) % count
        values = []
        for index in (0, 1):
            both = batch.change([shifts[index][row], shifts[0][next_row]])
            values.append(
                (
                    sum(overlap(profiles[index][row], profiles[0][other]) for other in others) / len(others),
                    batch.rtd(changes[index][row]),
                    float(mixed_difference(both, changes[index][row], changes[0][next_row])),
                )
            )
        for name, before, after in zip(found, *values, strict=True):
            found[name].append(before - after)
    return {name: torch.tensor(each, dtype=torch.float64) for name, each in found.items()}


def _improves(differences: Tensor) -> Tensor:
    """(K,), whether the mean over clouds (K, B) is above 0 in 95 % of bootstrap samples."""
    count = differences.shape[1]
    chosen = torch.randint(count, (1000, count), generator=torch.Generator().manual_seed(0))
    return differences[:, chosen].mean(2).quantile(0.05, dim=1) > 0


def table(rungs: list[str], rows: list[str], seeds: list[int], cells: Path) -> str:
    """Markdown: the scores that were measured, by rung, row and seed."""
    lines = ["| rung | row | seed | score | worst | seconds | degrees | accepted |", f"|{'---|' * 8}"]
    for rung in rungs:
        for row in rows:
            for seed in seeds:
                path = cells / f"{rung}_{seed}_{row.replace(' ', '_')}.json"
                if path.exists():
                    found = json.loads(path.read_text())
                    score, worst = ("cos", "worst_cos") if "cos" in found else ("share", "weakest_change")
                    facts = (found.get(name, "") for name in ("seconds", "degrees", "accepted"))
                    shown = (rung, row, seed, f"{found[score]:.3f}", f"{found[worst]:.3f}", *facts)
                    lines.append(f"| {' | '.join(map(str, shown))} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rungs", nargs="*", help=f"of {', '.join(RUNGS)}; all by default")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--seeds", type=parse_numbers, default=(0, 1, 2, 3, 4))
    parser.add_argument("--cells", type=Path, default=Path("runs/acceptance"))
    parser.add_argument("--table", action="store_true", help="measure nothing")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    rungs, rows = options.rungs or list(RUNGS), options.rows.split(",")
    for name in [] if options.table else rungs:
        rung = rung_named(name)
        for seed in options.seeds:
            case = Case(rung, seed, options.cells)
            for row in rows:
                path = case.path(row).with_suffix(".json")
                if not path.exists():
                    with frozen_weights():
                        write_json(path, case.row(row))
                    print(f"{name}, {row}, seed {seed}: {path.read_text()}", file=sys.stderr, flush=True)
    print(table(rungs, rows, options.seeds, options.cells))


if __name__ == "__main__":
    main()
