"""What every metric promises, in one table: a row per group of `METRICS`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import METRICS, evaluate, probes
from tests.metrics.kinds import draw_kind

NUM_POINTS = 900
NAMES = [group.name for group in METRICS]


@dataclass(frozen=True)
class Promise:
    """What a score reaches on a perfect code, and at most on an independent one; None where nothing is promised.

    `exact` scores do not change when latents are permuted, `scaled` ones neither when each is rescaled; the others
    are learned, and change by less than 0.1.
    """

    perfect: float | None = None
    independent: float | None = None
    exact: bool = True
    scaled: bool = True


PROMISES = {
    "factor_vae": Promise(perfect=1.0, independent=0.45, exact=False),
    "beta_vae": Promise(perfect=0.98, independent=0.45, exact=False),
    "irs": Promise(perfect=0.95, scaled=False),
    "mig": Promise(perfect=0.95, independent=0.05),
    "modularity": Promise(perfect=0.95),
    "infomec_modularity": Promise(perfect=0.95, independent=0.6, exact=False),
    "infomec_explicitness": Promise(perfect=0.95, independent=0.1),
    "infomec_compactness": Promise(perfect=0.95, independent=0.6, exact=False),
    "edi_modularity": Promise(perfect=0.9, exact=False),
    "edi_compactness": Promise(perfect=0.9, exact=False),
    "edi_explicitness": Promise(perfect=0.9, independent=0.1, exact=False),
    "explicitness": Promise(perfect=0.99, independent=0.6),
    "sap": Promise(independent=0.1, scaled=False),
    "sap_continuous": Promise(perfect=0.95, independent=0.05),
    "snc": Promise(perfect=0.85, independent=0.3),
    "nk": Promise(perfect=0.6, independent=0.1, exact=False),
    "dci_disentanglement": Promise(perfect=0.99, independent=0.1, exact=False),
    "dci_completeness": Promise(perfect=0.99, independent=0.1, exact=False),
    "dci_informativeness": Promise(perfect=0.99, independent=0.3, exact=False),
    "dci_es_disentanglement": Promise(perfect=0.6, independent=0.05, exact=False),
    "dci_es_completeness": Promise(perfect=0.6, independent=0.05, exact=False),
    "dci_es_informativeness": Promise(perfect=0.99, independent=0.3, exact=False),
    "dci_es_explicitness": Promise(perfect=0.9, exact=False),
    "dci_es_size": Promise(perfect=1.0),
    "mcc_pearson": Promise(perfect=0.99, independent=0.1),
    "mcc_spearman": Promise(perfect=0.95, independent=0.1),
    "iwo": Promise(perfect=0.95, independent=0.2, exact=False),
    "iwr": Promise(perfect=0.95, independent=0.2, exact=False),
    "gaussian_total_correlation": Promise(independent=0.05),
    "gaussian_wasserstein_correlation_normed": Promise(independent=0.05, scaled=False),
    "mutual_information": Promise(independent=0.3),
}


@pytest.fixture(scope="module")
def perfect() -> dict[str, float]:
    return evaluate(*draw_kind("perfect", NUM_POINTS))


def test_the_table_has_a_row_for_every_score(perfect: dict[str, float]) -> None:
    assert set(perfect) == set(PROMISES)


@pytest.mark.parametrize("key", PROMISES)
def test_a_perfect_code_scores_what_is_promised(perfect: dict[str, float], key: str) -> None:
    floor = PROMISES[key].perfect
    assert perfect[key] <= 1 + 1e-9
    assert floor is None or perfect[key] >= floor


def test_an_independent_code_scores_what_is_promised() -> None:
    scores = evaluate(*draw_kind("random", NUM_POINTS))
    over = {key: scores[key] for key, each in PROMISES.items() if each.independent is not None}
    assert {key: value for key, value in over.items() if value > (PROMISES[key].independent or 0)} == {}


@pytest.mark.parametrize(("change", "field"), [("permuted", "exact"), ("rescaled", "scaled")])
def test_latents_may_be_permuted_and_rescaled(perfect: dict[str, float], change: str, field: str) -> None:
    codes, factors = draw_kind("perfect", NUM_POINTS)
    changed = codes[:, [2, 0, 3, 1]] if change == "permuted" else codes * [3.0, 0.5, 2.0, 1.5]
    scores = evaluate(changed, factors)
    for key, each in PROMISES.items():
        if change == "rescaled" and not each.scaled:
            continue
        close = 1e-6 if each.exact else 0.1
        assert scores[key] == pytest.approx(perfect[key], abs=close), key


def broken(case: str) -> tuple[Any, Any]:
    """Data that break scores elsewhere."""
    rng = np.random.default_rng(0)
    codes, factors = draw_kind("noisy", 120)
    numbers = factors.astype(float)
    names = np.array(["red", "green", "blue", "black", "white", "gray", "pink", "brown"])
    numbers[::7, 1] = np.nan
    return {
        "continuous factors": (codes, codes @ rng.normal(size=(4, 3))),
        "missing labels": (codes, numbers),
        "more latents than examples": (rng.normal(size=(60, 90)), factors[:60]),
        "constant latents": (np.hstack([codes, np.ones((120, 2))]), factors),
        "only constant latents": (np.ones((120, 3)), factors),
        "duplicate latents": (np.hstack([codes, codes]), factors),
        "one factor": (codes, factors[:, :1]),
        "one latent": (codes[:, :1], factors),
        "text": (codes, names[factors]),
        "a constant factor": (codes, np.hstack([factors, np.full((120, 1), 3)])),
        "a value that occurs once": (codes, np.where(np.arange(120)[:, None] == 5, 99, factors)),
        "single precision": (codes.astype(np.float32), factors.astype(np.uint8)),
    }[case]


CASES = (
    "continuous factors",
    "missing labels",
    "more latents than examples",
    "constant latents",
    "only constant latents",
    "duplicate latents",
    "one factor",
    "one latent",
    "text",
    "a constant factor",
    "a value that occurs once",
    "single precision",
)
UNDEFINED = {
    "more latents than examples": {"unsupervised"},
    "duplicate latents": {"unsupervised"},
    "one factor": {"factor-vae", "beta-vae", "modularity", "infomec", "edi", "dci", "dci-es", "iwo"},
    "one latent": {"edi", "dci", "dci-es", "iwo"},
}


@pytest.mark.parametrize("case", CASES)
def test_every_metric_is_finite_or_raises_with_the_reason(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for steps in ("NUM_STEPS", "CHAIN_STEPS"):
        monkeypatch.setattr(probes, steps, 20)  # the scores' values do not matter here
    codes, factors = broken(case)
    undefined = {name for name in NAMES if not defined(name, codes, factors)}
    assert undefined == UNDEFINED.get(case, set())


def defined(name: str, codes: Any, factors: Any) -> bool:
    """Whether the scores are finite, and not refused with a sentence."""
    try:
        scores = evaluate(codes, factors, metrics=[name])
    except InvalidArgumentError:
        return False
    assert scores
    assert all(np.isfinite(value) for value in scores.values()), (name, scores)
    return True
