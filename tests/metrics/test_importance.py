import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import dci, dci_es
from ganspace_topdis.metrics.boosting import boost
from ganspace_topdis.metrics.importance import DEPTHS, _class_shares, _explicitness, _grow_trees, _seed_of

CODES = np.random.default_rng(0).normal(size=(400, 3))
FACTORS = np.stack([np.digitize(CODES[:, k], [-0.5, 0.5]) for k in (0, 1)], axis=1)


@pytest.mark.parametrize("num_classes", [2, 4])
def test_boosted_trees_are_scikit_learns(num_classes: int) -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 3)).astype(np.float32)
    noisy = codes[:, 0] + 0.5 * codes[:, 1] + 0.3 * rng.normal(size=500)
    labels = np.digitize(noisy, np.quantile(noisy, np.linspace(0, 1, num_classes + 1)[1:-1]))
    ours = boost(codes[:300], labels[:300], codes[300:], labels[300:], seed=0)
    theirs = GradientBoostingClassifier(random_state=0).fit(codes[:300], labels[:300])
    np.testing.assert_allclose(ours.importances, theirs.feature_importances_, atol=5e-3)
    assert ours.accuracy_train == pytest.approx(theirs.score(codes[:300], labels[:300]), abs=0.01)
    assert ours.accuracy_test == pytest.approx(theirs.score(codes[300:], labels[300:]), abs=0.02)


def test_equal_latents_share_the_importance() -> None:
    code = np.random.default_rng(0).normal(size=(300, 1))
    labels = np.digitize(code[:, 0], [-1, 0, 1])
    twice = np.hstack([code, code])
    assert boost(twice, labels, twice, labels, seed=0).importances == pytest.approx([0.5, 0.5], abs=0.15)


def test_constant_latents_cannot_split() -> None:
    labels = np.arange(20) % 2
    fit = boost(np.zeros((20, 2)), labels, np.zeros((20, 2)), labels, seed=0)
    assert fit.importances.tolist() == [0, 0]
    assert fit.accuracy_train == 0.5


def test_values_of_any_number_serve_as_classes() -> None:
    code = np.repeat([[0.0], [1.0]], 10, axis=0)
    labels = np.repeat([7, 30], 10)
    assert boost(code, labels, code, labels, seed=0).accuracy_test == 1.0


def test_dci_of_the_noisy_case_is_the_references(load_reference: Any) -> None:
    check_against_reference(load_reference("noisy"))


@pytest.mark.slow
def test_dci_is_the_references_in_every_case(varying_case: Any) -> None:
    check_against_reference(varying_case)


def check_against_reference(case: Any) -> None:
    scores = dci(*case.split).as_dict()
    assert scores == pytest.approx({name: case.scores["dci"][name] for name in scores}, abs=1e-3)


@pytest.mark.parametrize("metric", [dci, dci_es])
def test_one_latent_for_each_factor_scores_one(metric: Any) -> None:
    scores = metric(CODES, FACTORS, CODES, FACTORS)
    assert scores.importances.argmax(axis=0).tolist() == [0, 1]
    assert min(scores.disentanglement, scores.completeness) > (0.999 if metric is dci else 0.4)


@pytest.mark.parametrize("metric", [dci, dci_es])
def test_dead_latents_score_zero(metric: Any) -> None:
    scores = metric(0 * CODES, FACTORS, 0 * CODES, FACTORS)
    assert (scores.disentanglement, scores.completeness) == (0.0, 0.0)


def test_the_number_of_jobs_does_not_change_the_scores() -> None:
    assert dci(CODES, FACTORS, CODES, FACTORS, jobs=1) == dci(CODES, FACTORS, CODES, FACTORS, jobs=2)


@pytest.mark.parametrize("metric", [dci, dci_es])
def test_one_factor_or_one_latent_is_refused(metric: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="factors vary"):
        metric(CODES, FACTORS[:, :1], CODES, FACTORS[:, :1])
    with pytest.raises(InvalidArgumentError, match="latent"):
        metric(CODES[:, :1], FACTORS, CODES[:, :1], FACTORS)


def test_trees_are_those_of_scikit_learns_forest() -> None:
    state = _seed_of([7, 0])
    forest = RandomForestClassifier(10, max_depth=DEPTHS[-1], random_state=state).fit(CODES, FACTORS[:, 0])
    trees = list(itertools.islice(_grow_trees(CODES, FACTORS[:, 0], False, 7), 10))
    for ours, theirs in zip(trees, forest.estimators_, strict=True):
        np.testing.assert_array_equal(ours.threshold, theirs.tree_.threshold)
    forest = RandomForestRegressor(10, max_depth=DEPTHS[-1], random_state=state).fit(CODES, CODES[:, 0] ** 3)
    ours = next(_grow_trees(CODES, CODES[:, 0] ** 3, True, 7))
    np.testing.assert_array_equal(ours.value, forest.estimators_[0].tree_.value)


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_forest_cut_back_loses_what_one_grown_to_that_depth_loses(place: int) -> None:
    rng = np.random.default_rng(2)
    codes = rng.normal(size=(1500, 4))
    factors = np.stack([np.digitize(codes[:, :2].sum(axis=1), [-1, 0, 1]), np.digitize(codes[:, 2], [0])], axis=1)
    train, test = slice(0, 1000), slice(1000, None)
    losses = dci_es(codes[train], factors[train], codes[test], factors[test]).losses[place]
    for k in range(2):
        grown = [
            1
            - RandomForestClassifier(100, max_depth=DEPTHS[place], random_state=seed)
            .fit(codes[train], factors[train, k])
            .score(codes[test], factors[test, k])
            for seed in range(3)
        ]
        assert losses[k] == pytest.approx(np.mean(grown), abs=3 * np.std(grown) + 0.02)


def test_the_votes_of_a_leaf_do_not_depend_on_how_scikit_learn_stores_them() -> None:
    tree = RandomForestClassifier(1, max_depth=3, random_state=0).fit(CODES, FACTORS[:, 0]).estimators_[0].tree_
    rows = SimpleNamespace(value=tree.value * tree.n_node_samples[:, None, None])  # before 1.4
    np.testing.assert_allclose(_class_shares(rows), _class_shares(tree), atol=1e-12)
    np.testing.assert_allclose(_class_shares(tree).sum(axis=1), 1)


def test_explicitness_of_a_curve_is_its_area() -> None:
    falling = np.interp(DEPTHS, [1, 32], [0.8, 0.0])
    assert _explicitness(falling, 0.8) == pytest.approx(0.0)
    assert _explicitness(np.full(len(DEPTHS), 0.3), 0.8) == 1.0
    assert _explicitness(np.where(np.arange(len(DEPTHS)) == 5, 0.9, 0.1), 0.8) == 1.0  # a bump is not a fall


def test_size_is_factors_over_latents_and_continuous_factors_are_regressed() -> None:
    factors = np.stack([CODES[:, 0], CODES[:, 1] ** 3], axis=1)
    scores = dci_es(CODES, factors, CODES, factors)
    assert scores.size == pytest.approx(2 / 3)
    assert scores.informativeness > 0.9
