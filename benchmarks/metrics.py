"""Our metrics beside disentanglement_lib's scores on the same codes, and how long each takes.

python benchmarks/metrics.py prints both tables as Markdown. The codes and the reference scores lie in
tests/metrics/reference; the timings are of one data set of dSprites' size (10 latents, 10,000 points, factors
of 3, 6, 40, 32 and 32 values, a grid of 737,280 rows).
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ganspace_topdis.metrics import (
    beta_vae_score,
    dci,
    explicitness,
    factor_vae_score,
    irs,
    mig,
    modularity,
    sap,
    unsupervised_scores,
)
from ganspace_topdis.metrics.interventions import score_recorded_votes

FOLDER = Path(__file__).parents[1] / "tests" / "metrics" / "reference"
CASES = ("perfect", "rotated", "noisy", "dead_latents", "random", "constant_factor")
DSPRITES_SIZES = (3, 6, 40, 32, 32)


def our_scores(file: Any, name: str) -> dict[str, tuple[float, str]]:
    """Each score of one case with the path of the reference's in scores.json."""
    samples = "five" if name == "constant_factor" else "four"
    sizes = tuple(int(size) for size in file[f"{name}/sizes"])
    grid = file[f"{name}/grid_codes"]
    factors = np.stack(np.unravel_index(np.arange(len(grid)), sizes), axis=1)
    rows_train, rows_test = file[f"{samples}/train_rows"], file[f"{samples}/test_rows"]
    train = (grid[rows_train], factors[rows_train])
    split = (*train, grid[rows_test], factors[rows_test])
    votes = (file[f"{samples}/vote_factors"], file[f"{samples}/vote_rows"])
    spread = (file[f"{name}/variances"], file[f"{name}/active"])
    trees = dci(*split)
    return {
        "MIG": (mig(*train), "mig/discrete_mig"),
        "modularity": (modularity(*train), "modularity_explicitness/modularity_score"),
        "explicitness (test)": (explicitness(*split).test, "modularity_explicitness/explicitness_score_test"),
        "IRS": (irs(*train), "irs/IRS"),
        "SAP, discrete": (sap(*split), "sap_discrete/SAP_score"),
        "SAP, continuous": (sap(*split, continuous=True), "sap_continuous/SAP_score"),
        "DCI disentanglement": (trees.disentanglement, "dci/disentanglement"),
        "DCI completeness": (trees.completeness, "dci/completeness"),
        "DCI informativeness (test)": (trees.informativeness_test, "dci/informativeness_test"),
        "FactorVAE, own draws": (factor_vae_score(grid, sizes), "factor_vae/eval_accuracy"),
        "FactorVAE, recorded votes": (
            score_recorded_votes(grid, *votes, *spread, num_train=1000),
            "factor_vae_trace/eval_acc_next_500",
        ),
        "beta-VAE, own draws": (beta_vae_score(grid, sizes), "beta_vae/eval_accuracy"),
    }


def compare() -> None:
    """Print the table of scores."""
    reference = json.loads((FOLDER / "scores.json").read_text())
    print("| case | metric | ours | reference | difference |\n|---|---|---|---|---|")
    with np.load(FOLDER / "codes.npz") as file:
        for name in CASES:
            for metric, (score, path) in our_scores(file, name).items():
                group, key = path.split("/")
                theirs = reference[name].get(group, {}).get(key)
                shown = "none | " if theirs is None else f"{theirs:.5f} | {score - theirs:+.1e}"
                print(f"| {name} | {metric} | {score:.5f} | {shown} |", flush=True)


def dsprites_sized() -> tuple[Any, Any, Any]:
    """A grid of noisy, partly mixed codes, and a training and a test sample of it."""
    rng = np.random.default_rng(0)
    values = np.stack(np.unravel_index(np.arange(int(np.prod(DSPRITES_SIZES))), DSPRITES_SIZES), axis=1)
    centred = values / np.array(DSPRITES_SIZES) - 0.5
    mixing = np.hstack([np.eye(5), 0.3 * rng.normal(size=(5, 5))])
    grid = (centred @ mixing + 0.1 * rng.normal(size=(len(values), 10))).astype(np.float32)
    rows_train, rows_test = rng.integers(0, len(grid), 10_000), rng.integers(0, len(grid), 5_000)
    return grid, (grid[rows_train], values[rows_train]), (grid[rows_test], values[rows_test])


def time_all() -> None:
    """Print how long each metric takes on a data set of dSprites' size."""
    grid, train, test = dsprites_sized()
    dci(train[0][:50], train[1][:50], test[0][:50], test[1][:50])  # compile
    runs: dict[str, Callable[[], Any]] = {
        "MIG": lambda: mig(*train),
        "modularity": lambda: modularity(*train),
        "explicitness": lambda: explicitness(*train, *test),
        "IRS": lambda: irs(*train),
        "SAP, discrete": lambda: sap(*train, *test),
        "SAP, continuous": lambda: sap(*train, *test, continuous=True),
        "DCI": lambda: dci(*train, *test),
        "FactorVAE": lambda: factor_vae_score(grid, DSPRITES_SIZES),
        "beta-VAE": lambda: beta_vae_score(grid, DSPRITES_SIZES),
        "unsupervised": lambda: unsupervised_scores(train[0]),
    }
    print(f"\n| metric, dSprites' size, {os.cpu_count()} processors | seconds |\n|---|---|")
    start = time.perf_counter()
    for name, run in runs.items():
        begin = time.perf_counter()
        run()
        print(f"| {name} | {time.perf_counter() - begin:.1f} |", flush=True)
    print(f"| all | {time.perf_counter() - start:.1f} |")


if __name__ == "__main__":
    compare()
    time_all()
