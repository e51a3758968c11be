"""Every score of every method of finding directions, on the packaged generator of scenes.

    python benchmarks/directions.py scenes                # finds the directions: about an hour of one core
    python benchmarks/direction_scores.py                 # scores them: about as long
    python benchmarks/direction_scores.py --table         # results so far

The directions are those that `directions.py` stored, so both take the same `--methods`, `--seeds` and
`--cells`. What needs no truth: the scores of `topdis-gan score` on codes that no search has seen, how many shifts a
network distinguishes, and |cos| with the matched directions of the other seeds. What needs it: share, Spearman and the
encoder protocol (MIG, DCI, FactorVAE score). A cell takes about a minute of one core.
"""

import argparse
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from directions import argument_parser, column, kept, markdown, path_of
from torch import Tensor

from ganspace_topdis.discovery.held_out import add_scores, evaluate_held_out
from ganspace_topdis.evaluation.protocol import encoder_protocol
from ganspace_topdis.evaluation.reconstructor import ReconstructorSettings, reconstructor_accuracy
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import write_json
from stylegan2.bench.methods import Cell, with_agreement
from stylegan2.bench.rungs import Network, Rung, rung_named
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.space import LatentSpace
from vae.data import scenes

SCORES = (
    *("share", "own_change", "spearman", "score", "mixed", "rtd", "effect", "better", "recognized", "agreement"),
    *("mig", "disentanglement", "completeness", "factor_vae_score"),
)
NEITHER_BETTER = ("effect",)
LOWER_BETTER = ("mixed", "rtd")

TITLES = (
    *("share", "own change", "Spearman", "score", "mixed", "RTD", "effect", "better than chance", "recognized"),
    *("agreement", "MIG", "DCI D", "DCI C", "FactorVAE score"),
)

_NUM_CODES = 1000
_NUM_PROTOCOL_CODES = 4000
_STREAM = 20_000
_RECONSTRUCTOR = ReconstructorSettings(num_steps=250, batch_size=32, held_out=0.1)


def measure(options: argparse.Namespace, rung: Network, scores: Path, method: str, seed: int) -> None:
    """Measure the scores of a cell, and report them."""
    directions = kept(options, rung, method, seed)
    since = time.perf_counter()
    found = without_truth(rung, directions, seed) | protocol(rung, directions, seed)
    write_json(scores, found)
    shown = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
    print(f"{method}, seed {seed}: {shown} ({time.perf_counter() - since:.0f} s)", file=sys.stderr, flush=True)


def without_truth(rung: Network, directions: Directions, seed: int) -> dict[str, float]:
    """The held-out scores, and the share of recognized shifts."""
    space = rung.spaces[directions.code_dim]
    with frozen_weights():
        held_out = evaluate_held_out(
            *(space.features, space.sample_codes, directions), num_batches=10, num_random=40, seed=_STREAM + seed
        )
    scored = add_scores(directions, held_out).metadata
    recognized = reconstructor_accuracy(space.images, directions, codes_of(space, _NUM_CODES, seed), _RECONSTRUCTOR)
    columns = {
        "score": "score",
        "mixed": "mixed",
        "rtd": "rtd_after",
        "effect": "effect",
        "better": "better_than_chance",
    }
    means = {name: sum(scored[column]) / len(scored[column]) for name, column in columns.items()}
    return {**means, "recognized": recognized.accuracy}


def protocol(rung: Network, directions: Directions, seed: int) -> dict[str, float]:
    """Scores on drawn images of an encoder that was trained on generated ones."""

    space = rung.spaces[directions.code_dim]

    def draw(indices: Any) -> Tensor:
        images = torch.from_numpy(scenes.draw(indices, space.generator.img_resolution))
        return images.permute(0, 3, 1, 2).float() / 127.5 - 1

    codes = codes_of(space, _NUM_PROTOCOL_CODES, seed)
    return encoder_protocol(space.images, directions, codes, draw, scenes.SIZES).as_dict()


@torch.no_grad()
def codes_of(space: LatentSpace, num_codes: int, seed: int) -> Tensor:
    """Codes that no search has seen."""
    return space.sample_codes(num_codes, torch.Generator().manual_seed(_STREAM + seed))


def results(options: argparse.Namespace, rung: Network) -> str:
    """The table of the results."""
    cells = {method: measured(options, rung, method) for method in options.methods}
    columns = []
    for name in SCORES:
        values = {method: [cell[name] for cell in found if name in cell] for method, found in cells.items()}
        columns.append(column(values, len(options.seeds), bold=name not in (*NEITHER_BETTER, *LOWER_BETTER)))
    return markdown(TITLES, columns)


def measured(options: argparse.Namespace, rung: Rung, method: str) -> list[dict[str, float]]:
    """The scores of a method's cells, with the agreement of each with the others."""
    found = []
    for seed in options.seeds:
        path = path_of(options.cells, rung, method, seed, options.steps)
        if scores_of(path).exists():
            scores = {**json.loads(path.read_text())["scores"], **json.loads(scores_of(path).read_text())}
            found.append(
                (Cell(rung=rung.name, method=method, seed=seed, scores=scores), kept(options, rung, method, seed))
            )
    return [dict(cell.scores) for cell in with_agreement(found)]


def scores_of(path: Path) -> Path:
    """The path of the scores of a cell."""
    return path.with_name(f"{path.stem}_scores.json")


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    rung = rung_named("scenes")
    assert isinstance(rung, Network)
    if not options.table:
        for seed, method in itertools.product(options.seeds, options.methods):
            path = path_of(options.cells, rung, method, seed, options.steps)
            if path.exists() and not scores_of(path).exists():
                measure(options, rung, scores_of(path), method, seed)
    print(results(options, rung))


if __name__ == "__main__":
    main()
