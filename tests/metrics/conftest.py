"""Seeded synthetic codes with the scores that disentanglement_lib's own code gives for them.

Six cases on a grid of four factors (3, 6, 8, 8), the last with a fifth factor of one value in front. A code
belongs to a row of the grid, so that samples are stored as row numbers.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "reference"
CASES = ("perfect", "rotated", "noisy", "dead_latents", "random", "constant_factor")


@dataclass(frozen=True)
class Case:
    name: str
    sizes: tuple[int, ...]
    grid_codes: Any
    train: tuple[Any, Any]
    test: tuple[Any, Any]
    vote_factors: Any
    vote_rows: Any
    vote_latents: Any
    scores: dict[str, dict[str, float]]

    @property
    def split(self) -> tuple[Any, Any, Any, Any]:
        return *self.train, *self.test


@cache
def load_case(name: str) -> Case:
    samples = "five" if name == "constant_factor" else "four"
    with np.load(FOLDER / "codes.npz") as file:
        sizes = tuple(int(size) for size in file[f"{name}/sizes"])
        codes = file[f"{name}/grid_codes"]
        rows = {part: file[f"{samples}/{part}_rows"] for part in ("train", "test")}
        factors = np.stack(np.unravel_index(np.arange(len(codes)), sizes), axis=1)
        return Case(
            name=name,
            sizes=sizes,
            grid_codes=codes,
            train=(codes[rows["train"]], factors[rows["train"]]),
            test=(codes[rows["test"]], factors[rows["test"]]),
            vote_factors=file[f"{samples}/vote_factors"],
            vote_rows=file[f"{samples}/vote_rows"],
            vote_latents=file[f"{name}/vote_latents"],
            scores=json.loads((FOLDER / "scores.json").read_text())[name],
        )


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return load_case(request.param)


@pytest.fixture(params=CASES[:-1])
def varying_case(request: pytest.FixtureRequest) -> Case:
    """The cases in which every factor varies, where the reference's scores are defined."""
    return load_case(request.param)


@pytest.fixture
def load_reference() -> Callable[[str], Case]:
    """One named case."""
    return load_case
