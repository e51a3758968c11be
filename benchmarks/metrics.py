"""Our metrics: beside disentanglement_lib's scores, on ten kinds of codes, and how long each takes.

    python benchmarks/metrics.py reference   the scores of disentanglement_lib on the same codes, and ours
    python benchmarks/metrics.py kinds       every score on ten kinds of codes
    python benchmarks/metrics.py time        seconds of each metric at dSprites' size, and on 50,000 x 10 codes, with
                                             the memory that the process came to hold
    python benchmarks/metrics.py trees       the boosted trees of DCI beside scikit-learn's, one thread each

All tables are Markdown. The codes and the reference scores lie in tests/metrics. At dSprites' size there are 10
latents, 10,000 and 5,000 points, factors of 3, 6, 40, 32 and 32 values, and a grid of 737,280 rows.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ganspace_topdis.metrics import (
    beta_vae_score,
    dci,
    dci_es,
    edi,
    evaluate,
    explicitness,
    factor_vae_score,
    infomec,
    irs,
    iwo,
    mcc,
    mig,
    modularity,
    sap,
    snc_nk,
    unsupervised_scores,
)
from ganspace_topdis.metrics.boosting import boost
from ganspace_topdis.metrics.interventions import score_recorded_votes

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.metrics.kinds import KINDS, draw_kind

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
    centered = values / np.array(DSPRITES_SIZES) - 0.5
    mixing = np.hstack([np.eye(5), 0.3 * rng.normal(size=(5, 5))])
    grid = (centered @ mixing + 0.1 * rng.normal(size=(len(values), 10))).astype(np.float32)
    rows_train, rows_test = rng.integers(0, len(grid), 10_000), rng.integers(0, len(grid), 5_000)
    return grid, (grid[rows_train], values[rows_train]), (grid[rows_test], values[rows_test])


def score_kinds(num_points: int = 3000) -> None:
    """Print the table of all scores on all kinds of codes."""
    scores = {}
    for kind in KINDS:
        scores[kind] = evaluate(*draw_kind(kind, num_points))
        print(f"{kind} done", file=sys.stderr, flush=True)
    print("| score | " + " | ".join(KINDS) + " |\n|---|" + "---|" * len(KINDS))
    for key in scores["perfect"]:
        cells = (f"{scores[kind][key]:.2f}" if key in scores[kind] else "undefined" for kind in KINDS)
        print(f"| {key} | " + " | ".join(cells) + " |")


def time_all() -> None:
    """Print how long each metric takes on a data set of dSprites' size, and on 50,000 points."""
    grid, train, test = dsprites_sized()
    dci(train[0][:50], train[1][:50], test[0][:50], test[1][:50])  # compile
    mig(train[0][:50], train[1][:50])
    infomec(train[0][:200], train[1][:200])
    rows = np.random.default_rng(1).integers(0, len(grid), 50_000)
    values = np.stack(np.unravel_index(rows, DSPRITES_SIZES), axis=1)
    many = (grid[rows], values)
    small = (*train, *test)
    runs: dict[str, tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]]] = {
        "MIG": (mig, train, many),
        "modularity": (modularity, train, many),
        "InfoMEC": (infomec, train, many),
        "EDI": (edi, train, many),
        "explicitness": (explicitness, small, many),
        "IRS": (irs, train, many),
        "SAP, discrete": (sap, small, many),
        "SNC and NK": (snc_nk, small, many),
        "DCI": (dci, small, many),
        "DCI-ES": (dci_es, small, many),
        "MCC": (mcc, train, many),
        "IWO": (iwo, small, many),
        "FactorVAE": (factor_vae_score, (grid, DSPRITES_SIZES), many),
        "beta-VAE": (beta_vae_score, (grid, DSPRITES_SIZES), many),
        "unsupervised": (unsupervised_scores, train[:1], many[:1]),
        "evaluate, all": (evaluate, small, many),
    }
    print(
        f"\n| metric, {os.cpu_count()} processors | dSprites' size, s | CPU s | 50,000 x 10, s | CPU s | memory, MB |"
    )
    print("|---|---|---|---|---|---|")
    for name, (metric, one, other) in runs.items():
        cells = "".join(_seconds(metric, arguments) for arguments in (one, other))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {name} | {cells}{peak:.0f} |", flush=True)


def _seconds(metric: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    wall, processor = time.perf_counter(), time.process_time()
    metric(*arguments)
    return f"{time.perf_counter() - wall:.1f} | {time.process_time() - processor:.1f} | "


def time_trees() -> None:
    """Print how long 100 stages of trees take on the factors of 3 and 6 values, 10,000 rows of 10 latents."""
    from sklearn.ensemble import GradientBoostingClassifier

    _, (codes, values), (codes_test, values_test) = dsprites_sized()
    boost(codes[:50], values[:50, 0], codes_test[:50], values_test[:50, 0], seed=0)  # compile
    print("| values of the factor | scikit-learn, CPU s | ours, CPU s | ratio | test accuracy: theirs, ours |")
    print("|---|---|---|---|---|")
    for k in (0, 1):
        since = time.process_time()
        theirs = GradientBoostingClassifier(random_state=0).fit(codes, values[:, k])
        between = time.process_time()
        ours = boost(codes, values[:, k], codes_test, values_test[:, k], seed=0)
        spent, own = between - since, time.process_time() - between
        accuracy = theirs.score(codes_test, values_test[:, k])
        cells = f"{spent:.1f} | {own:.2f} | {spent / own:.0f} | {accuracy:.4f}, {ours.accuracy_test:.4f}"
        print(f"| {DSPRITES_SIZES[k]} | {cells} |", flush=True)


if __name__ == "__main__":
    tables = {"reference": compare, "kinds": score_kinds, "time": time_all, "trees": time_trees}
    for chosen in sys.argv[1:] or tables:
        tables[chosen]()
