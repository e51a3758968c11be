import importlib
import inspect
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
import torch

import ganspace_topdis.metrics as metrics_package
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import METRICS, DisentanglementMetrics, evaluate, measure, mig
from ganspace_topdis.metrics.evaluation import compare
from tests.metrics.kinds import draw_kind

CODES, FACTORS = draw_kind("noisy", 400)
CHEAP = ["mig", "mcc"]


def test_a_closed_form_scores_the_rows_that_it_is_given() -> None:
    assert evaluate(CODES, FACTORS, metrics=CHEAP)["mig"] == mig(CODES, FACTORS)


def test_metrics_come_in_the_order_of_the_tables_with_what_they_cost() -> None:
    found = list(measure(CODES, FACTORS, metrics=["mcc", "irs"]))
    assert [each.group for each in found] == ["irs", "mcc"]
    assert all(each.seconds > 0 and each.problem is None for each in found)


def test_a_metric_requested_by_name_raises_where_it_is_undefined() -> None:
    with pytest.raises(InvalidArgumentError, match=r"dci: .*latents"):
        evaluate(CODES[:, :1], FACTORS, metrics=["dci"])


def test_an_unknown_metric_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidArgumentError, match="did you mean 'infomec'"):
        evaluate(CODES, FACTORS, metrics=["infomac"])


def test_a_test_set_is_what_learned_metrics_are_scored_on() -> None:
    shuffled = np.random.default_rng(0).permutation(FACTORS)
    held = evaluate(CODES, FACTORS, CODES, FACTORS, metrics=["explicitness"])["explicitness"]
    assert evaluate(CODES, FACTORS, CODES, shuffled, metrics=["explicitness"])["explicitness"] < held - 0.2


def test_batches_add_up_to_the_whole() -> None:
    metrics = DisentanglementMetrics(CHEAP)
    for part in np.array_split(np.arange(400), 7):
        metrics.update(torch.from_numpy(CODES[part]).requires_grad_(), torch.from_numpy(FACTORS[part]))
    assert metrics.compute() == pytest.approx(evaluate(CODES, FACTORS, metrics=CHEAP), abs=1e-12)


def test_many_batches_are_kept_as_a_uniform_sample() -> None:
    metrics = DisentanglementMetrics(CHEAP, max_rows=100)
    for start in range(0, 5000, 10):
        metrics.update(np.arange(start, start + 10.0)[:, None], np.arange(start, start + 10)[:, None])
    kept = metrics._codes[:, 0]
    assert len(kept) == 100
    assert 1800 < kept.mean() < 3200


def test_reset_forgets_and_columns_may_not_change() -> None:
    metrics = DisentanglementMetrics(CHEAP)
    metrics.update(CODES, FACTORS)
    with pytest.raises(InvalidArgumentError, match="other columns"):
        metrics.update(CODES[:, :2], FACTORS)
    metrics.reset()
    with pytest.raises(InvalidArgumentError, match="no codes yet"):
        metrics.compute()


def test_a_better_code_differs_clearly_from_a_worse_one_and_not_from_itself() -> None:
    better = draw_kind("perfect", 400)[0]
    rows = {row.key: row for row in compare(CODES, better, FACTORS, metrics=CHEAP, num_resamples=20)}
    assert rows["mig"].clear
    assert rows["mig"].low > 0.2
    same = compare(CODES, -3 * CODES, FACTORS, metrics=CHEAP, num_resamples=10)
    assert not any(row.clear for row in same)


def test_a_comparison_leaves_out_what_is_undefined_unless_it_was_named() -> None:
    one = CODES[:, :1]
    keys = [row.key for row in compare(one, 2 * one, FACTORS, num_resamples=10)]
    assert "mig" in keys
    with pytest.raises(InvalidArgumentError, match=r"dci: .*latents"):
        compare(one, 2 * one, FACTORS, metrics=["mig", "dci"], num_resamples=10)
    with pytest.raises(InvalidArgumentError, match="no metric is defined: codes hold NaN"):
        compare(one, np.full_like(one, np.nan), FACTORS, num_resamples=10)


def test_an_empty_list_of_metrics_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`metrics` names no metric"):
        evaluate(CODES, FACTORS, metrics=[])


def test_the_interval_is_as_wide_as_the_score_varies_between_samples() -> None:
    scores = []
    for seed in range(40):
        codes, factors = draw_kind("noisy", 300, seed)
        scores.append(evaluate(codes, factors, metrics=["sap-continuous"])["sap_continuous"])
    codes, factors = draw_kind("noisy", 300, 99)
    row = compare(np.zeros_like(codes), codes, factors, metrics=["sap-continuous"], num_resamples=200)[0]
    assert (row.high - row.low) / (2 * 1.96 * np.std(scores)) == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("num_rows", [40, 80])
def test_another_number_of_factor_rows_is_refused(num_rows: int) -> None:
    rng = np.random.default_rng(0)
    codes, factors = rng.normal(size=(60, 2)), rng.integers(0, 2, (num_rows, 2))
    with pytest.raises(InvalidArgumentError, match=f"60 codes but {num_rows} rows of factors"):
        compare(codes, codes, factors, metrics=["mig"], num_resamples=10)
    own = rng.integers(0, 2, (60, 2))
    with pytest.raises(InvalidArgumentError, match=rf"codes_test \(60, 2\) and factors_test \({num_rows}, 2\)"):
        evaluate(codes, own, codes, factors, metrics=["mig"])


def test_a_factor_that_is_constant_in_the_test_set_is_measured_against_its_spread_in_training() -> None:
    rng = np.random.default_rng(0)
    factors = rng.random((300, 2))
    codes = factors + 0.01 * rng.normal(size=factors.shape)
    held = factors[:50].copy()
    held[:, 0] = held[0, 0]
    scores = evaluate(codes, factors, codes[:50], held, metrics=["dci-es"])
    assert -5 < scores["dci_es_informativeness"] <= 1


def test_codes_of_other_examples_are_not_compared() -> None:
    with pytest.raises(InvalidArgumentError, match="same examples"):
        compare(CODES, CODES[:5], FACTORS)


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import ganspace_topdis.metrics.groups", {"numpy", "torch"}),
        ("from ganspace_topdis.metrics import *", {"torch", "sklearn"}),
    ],
)
def test_importing_the_table_loads_no_numpy_and_importing_the_metrics_no_torch(statement: str, heavy: set[str]) -> None:
    code = f"import sys; {statement}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_table_of_groups_lists_the_scores_that_each_computes() -> None:
    codes, factors = draw_kind("noisy", 200)
    for group in METRICS:
        assert tuple(evaluate(codes, factors, metrics=[group.name])) == group.keys


def test_every_metric_is_a_function_of_the_package_whatever_modules_are_loaded() -> None:
    for module in pkgutil.iter_modules(metrics_package.__path__):
        importlib.import_module(f"{metrics_package.__name__}.{module.name}")
    names = (
        "mig modularity irs sap dci explicitness beta_vae_score factor_vae_score mig_sampled udr infomec dci_es snc_nk "
        "mcc edi iwo evaluate srtd nts interventional_accuracy unsupervised_scores compare measure"
    )
    assert all(inspect.isfunction(getattr(metrics_package, name)) for name in names.split())
    assert set(names.split()) < set(metrics_package.__all__)


def test_networks_train_whatever_the_caller_has_set() -> None:
    codes, factors = draw_kind("noisy", num_points=300)
    names = ["snc-nk", "edi", "iwo"]
    expected = evaluate(codes, factors, metrics=names)
    with torch.no_grad():
        assert evaluate(codes, factors, metrics=names) == expected
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert evaluate(codes, factors, metrics=names) == expected
    try:
        torch.set_default_dtype(torch.float64)
        with torch.device("meta"):
            assert evaluate(codes, factors, metrics=names) == expected
    finally:
        torch.set_default_dtype(torch.float32)


def test_halves_are_of_the_rows_that_a_score_is_estimated_from(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, set[int]] = {}

    def counting(codes, factors, *, metrics, seed):  # type: ignore[no-untyped-def]
        for name in metrics:
            seen.setdefault(name, set()).add(len(codes))
        return measure(codes, factors, metrics=metrics, seed=seed)

    monkeypatch.setattr("ganspace_topdis.metrics.evaluation.measure", counting)
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 3, (20_000, 2))
    steps: list[tuple[int, int]] = []
    found = compare(
        factors + rng.standard_normal(factors.shape),
        factors + rng.standard_normal(factors.shape),
        factors,
        metrics=["modularity", "sap-continuous"],
        num_resamples=10,
        progress=lambda done, total: steps.append((done, total)),
    )
    learns = {group.name: group.learns for group in METRICS}
    assert seen == {name: {15_000, 7_500} if learns[name] else {10_000, 5_000} for name in seen}
    assert [each.key for each in found] == ["modularity", "sap_continuous"]
    assert steps[-1][0] == steps[-1][1] == len(steps)
