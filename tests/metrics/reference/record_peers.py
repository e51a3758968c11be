"""Scores and times of other libraries on the ten kinds of codes; written to peers.json beside this file.

    python tests/metrics/reference/record_peers.py [FOLDER]

Needs disent 0.9.3 (nmichlo/disent; Python 3.12), of which only the functions that take arrays are used: its modules
for data sets and networks, which need lightning and torchvision, are left out. FOLDER may hold `disentangling/` of
wangyashuu/measuring_meaningful_latent_space 03d89f3 and needs torch; with it the EDI is recorded instead. pythae 0.1.2
and RAVEL have no metric of codes and factors.
"""

import importlib.util
import json
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.metrics.kinds import KINDS, draw_kind

NUM_TRAIN, NUM_TEST = 1000, 500
FILE = Path(__file__).parent / "peers.json"


def load_disent() -> dict[str, Any]:
    """The modules of disent's metrics, with empty modules in place of those they need only for data sets."""
    found = importlib.util.find_spec("disent")
    assert found is not None, "pip install --no-deps disent==0.9.3"
    assert found.submodule_search_locations
    folder = Path(next(iter(found.submodule_search_locations))) / "metrics"
    stubs: dict[str, dict[str, Any]] = {
        "disent.dataset": {"DisentDataset": object},
        "disent.util": {"to_numpy": np.asarray},
        "disent.util.function": {"wrapped_partial": lambda function, **_: function},
        "disent.metrics": {"__path__": [str(folder)]},
    }
    for name, members in stubs.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        sys.modules[name] = module
    return {name: importlib.import_module(f"disent.metrics._{name}") for name in ("mig", "dci", "sap", "unsupervised")}


def disent_scores(train: tuple[Any, Any], test: tuple[Any, Any]) -> dict[str, Callable[[], dict[str, float]]]:
    """Each of disent's metrics, by our names of its scores."""
    modules = load_disent()
    codes, factors, codes_test, factors_test = (each.T for each in (*train, *test))

    def dci() -> dict[str, float]:
        scores = modules["dci"]._compute_dci(codes, factors, codes_test, factors_test)
        names = ("disentanglement", "completeness", "informativeness_test")
        return {f"dci_{name.removesuffix('_test')}": scores[f"dci.{name}"] for name in names}

    def sap(continuous: bool) -> float:
        scores = modules["sap"]._compute_sap(codes, factors, codes_test, factors_test, continuous)
        return float(scores["sap.score"])

    def correlation() -> float:
        return float(modules["unsupervised"]._gaussian_total_correlation(np.cov(codes)))

    return {
        "mig": lambda: {"mig": modules["mig"]._compute_mig(codes, factors)["mig.discrete_score"]},
        "dci": dci,
        "sap": lambda: {"sap": sap(False)},
        "sap-continuous": lambda: {"sap_continuous": sap(True)},
        "unsupervised": lambda: {"gaussian_total_correlation": correlation()},
    }


def edi_scores(train: tuple[Any, Any], seed: int) -> dict[str, float]:
    """EDI by the authors' defaults: the joint information by MINE, and every factor taken for a continuous one.

    Their cache, whose key is the text of the last 64 rows, is emptied; it would return the first seed's numbers.
    """
    import torch
    from disentangling.metrics.dcii import dcii
    from disentangling.utils.mi import get_mutual_info

    get_mutual_info.cache.clear()
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (their jitter)
    scores = dcii(train[1].astype(float), train[0])
    names = {"modularity": "disentanglement", "compactness": "completeness", "explicitness": "informativeness"}
    return {f"edi_{ours}": float(scores[theirs]) for ours, theirs in names.items()}


def main(folder: str | None) -> None:
    """Write the file, keeping what another run has recorded."""
    warnings.simplefilter("ignore")
    record: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    for kind in KINDS:
        codes, factors = draw_kind(kind, NUM_TRAIN + NUM_TEST)
        train, test = (codes[:NUM_TRAIN], factors[:NUM_TRAIN]), (codes[NUM_TRAIN:], factors[NUM_TRAIN:])
        if folder is not None:
            record.setdefault("edi", {})[kind] = [edi_scores(train, seed) for seed in range(3)]
            print(kind, record["edi"][kind], flush=True)
            continue
        row: dict[str, Any] = {"scores": {}, "seconds": {}}
        for name, compute in disent_scores(train, test).items():
            start = time.process_time()
            row["scores"] |= {key: float(value) for key, value in compute().items() if np.isfinite(value)}
            row["seconds"][name] = round(time.process_time() - start, 2)
        record.setdefault("disent", {})[kind] = row
        print(kind, row, flush=True)
    FILE.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.path.insert(0, sys.argv[1])
    main(sys.argv[1] if len(sys.argv) > 1 else None)
