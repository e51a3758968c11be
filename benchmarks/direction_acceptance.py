"""Directions that leave the span, kept only where scores without truth improve: docs/results/directions/plan.md.

    python benchmarks/direction_acceptance.py scenes hand-built --seeds 0-4
    python benchmarks/direction_acceptance.py --table --seeds 0-4

Every search of a rung and a seed is stored in --cells, and so are the scores of every row, so an interrupted run
resumes. Times are processor time of one thread.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from directions import HAND_BUILT_STEPS
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.discovery.acceptance import improvements, improves
from ganspace_topdis.discovery.active_subspace import identity_span
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import write_json
from stylegan2.bench.rungs import RUNGS, HandBuilt, Rung, rung_named
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.settings import parse_numbers

SEARCHES: dict[str, dict[str, Any]] = {"span": {"search_in": "span"}, "refined": {"search_in": "whole", "steps": 50}}
"""The settings of the searches; the refined one starts at the directions of the span."""

ACCEPTED_BY = {"overlap": ("overlap",), "mixed": ("mixed",), "overlap-mixed": ("overlap", "mixed")}
"""The scores that a refined direction has to improve, by the name of the rule; the last is that of `discover`."""

ANGLES_DEG = (10, 20, 30)
ROWS = (
    *SEARCHES,
    *(f"refined by {rule}" for rule in ACCEPTED_BY),
    *(f"refined within {angle}" for angle in ANGLES_DEG),
)
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
        settings: dict[str, Any] = {"seed": self.seed, "num_directions": self.rung.num_directions}
        if isinstance(self.rung, HandBuilt):
            settings |= {"span": "identity", "initialization": "random", "steps": HAND_BUILT_STEPS}
        chosen = DiscoverySettings(**{**settings, **SEARCHES[name]})
        search = Discovery(self.space.generate, self.space.sample_codes, chosen)
        start = self.search("span") if name == "refined" else None
        since = time.process_time()
        if start is not None:
            search.initialize_near(start)
        search.run()
        seconds = round(time.process_time() - since)
        directions = dataclasses.replace(search.directions(), metadata={"seconds": seconds})
        self.cells.mkdir(parents=True, exist_ok=True)
        directions.save(path)
        return directions

    def row(self, name: str) -> dict[str, Any]:
        """The scores of a row, and the directions that were accepted."""
        search, by, rule = name.partition(" by ")
        search, within, angle = search.partition(" within ")
        found = self.search(search)
        vectors, facts = found.vectors, {}
        if by:
            keep = self.accepted(rule)
            facts["accepted"] = [index for index, kept in enumerate(keep.tolist()) if kept]
            vectors = torch.where(keep[:, None], found.vectors, self.search("span").vectors)
        elif within:
            vectors = self.turned_back(found.vectors, float(angle))
        elif search == "refined":
            facts["degrees"] = [round(degrees) for degrees in self.angles(found.vectors).tolist()]
        seconds = {} if by or within else {"seconds": found.metadata["seconds"]}
        return {**self.rung.score(self.rung.directions_of(vectors, self.seed), self.seed), **seconds, **facts}

    def accepted(self, rule: str) -> Tensor:
        """(K,), whether each refined direction improves every score of the rule."""
        sets = [self.rung.directions_of(self.search(name).vectors, self.seed) for name in SEARCHES]
        differences = improvements(self.space.generate, self.space.sample_codes, *sets, seed=self.seed)
        return torch.stack([improves(differences[score]) for score in ACCEPTED_BY[rule]]).all(0)

    def angles(self, vectors: Tensor) -> Tensor:
        """(K,), degrees between vectors and those of the span."""
        cosines = (self.white(vectors) * self.white(self.search("span").vectors)).sum(1)
        return cosines.clamp(-1, 1).arccos().rad2deg()

    def white(self, vectors: Tensor) -> Tensor:
        """Unit coordinates (K, M) of vectors (K, D) in the whitened code."""
        with torch.no_grad():
            codes = self.space.sample_codes(10_000, torch.Generator().manual_seed(_STREAM + self.seed))
        self._white = identity_span(codes)
        return F.normalize(vectors @ self._white.projection.T, dim=1)

    def turned_back(self, vectors: Tensor, degrees: float) -> Tensor:
        """Vectors turned toward those of the span until the angle is at most `degrees`, on a great circle."""
        start, end = self.white(self.search("span").vectors), self.white(vectors)
        cosines = (start * end).sum(1, keepdim=True).clamp(-1, 1)
        allowed = cosines.arccos().clamp(max=torch.tensor(degrees).deg2rad().item())
        away = F.normalize(end - cosines * start, dim=1)
        return (allowed.cos() * start + allowed.sin() * away) @ self._white.axes


def table(rungs: Sequence[str], rows: Sequence[str], seeds: Sequence[int], cells: Path) -> str:
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
