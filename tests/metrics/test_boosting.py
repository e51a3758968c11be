import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from ganspace_topdis.metrics.boosting import boost


@pytest.mark.parametrize("num_classes", [2, 4])
def test_a_fit_is_scikit_learns(num_classes: int) -> None:
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
