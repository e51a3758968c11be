import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import iwo, mcc
from ganspace_topdis.metrics.subspaces import basis_of, importance_of, rank_score

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(0, 5, size=(1500, 3))
ROTATION = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
CODES = np.hstack([FACTORS + 0.1 * RNG.normal(size=(1500, 3)), RNG.normal(size=(1500, 1))])


def test_mcc_is_the_mean_absolute_correlation_of_the_best_matching() -> None:
    latents = CODES[:, [3, 2, 0, 1]] * [1, -2, 3, 1]
    expected = np.mean([abs(np.corrcoef(CODES[:, k], FACTORS[:, k])[0, 1]) for k in range(3)])
    assert mcc(latents, FACTORS) == pytest.approx(expected, abs=1e-12)


def test_spearman_sees_through_an_increasing_map() -> None:
    factors = RNG.normal(size=(500, 2))
    assert mcc(np.exp(3 * factors), factors, method="spearman") == pytest.approx(1.0)
    assert mcc(np.exp(3 * factors), factors) < 0.7


def test_a_factor_without_a_latent_scores_zero_in_mcc() -> None:
    factors = RNG.normal(size=(300, 2))
    assert mcc(factors[:, :1], factors) == pytest.approx(0.5)


def test_mcc_of_text_is_the_correlation_ratio() -> None:
    index = RNG.integers(0, 3, 400)
    codes = np.array([2.0, -1.0, 7.0])[index][:, None]
    assert mcc(codes, np.array(["red", "blue", "green"])[index][:, None]) == pytest.approx(1.0)


def test_an_unknown_correlation_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="pearson or spearman"):
        mcc(CODES, FACTORS, method="kendall")  # type: ignore[arg-type]


def test_importance_is_the_loss_saved_and_what_is_left_is_spread() -> None:
    assert importance_of(np.array([0.4, 0.1, 0.0]), 0.8) == pytest.approx([0.5, 0.375, 0.125])
    assert importance_of(np.array([0.5, 0.6, 0.5]), 1.0) == pytest.approx([0.5 + 1 / 6, 1 / 6, 1 / 6])
    assert importance_of(np.array([0.9, 1.2]), 0.8) == pytest.approx([0.5, 0.5])


def test_a_basis_is_orthonormal_and_drops_the_kernel_of_the_chain_last() -> None:
    keep = ROTATION[:, [2, 0, 1, 3]].T
    chain = np.zeros((3, 4, 4))
    chain[0, :3] = keep[:3]
    chain[1, :2, :2] = np.eye(2)
    chain[2, :1, :1] = 1.0
    basis = basis_of(chain)
    assert basis.T @ basis == pytest.approx(np.eye(4), abs=1e-12)
    assert np.abs(np.diag(keep @ basis)) == pytest.approx(np.ones(4))


def test_rank_is_one_for_one_dimension_and_zero_for_all() -> None:
    assert rank_score(np.array([1.0, 0, 0, 0])) == 1.0
    assert rank_score(np.full(4, 0.25)) == pytest.approx(0.0)


def test_orthogonality_survives_a_rotation_and_not_a_shear() -> None:
    straight, turned = iwo(CODES, FACTORS), iwo(CODES @ ROTATION, FACTORS)
    sheared = CODES.copy()
    sheared[:, 0] += 2 * CODES[:, 1]
    sheared[:, 1] += 2 * CODES[:, 0]
    assert min(straight.iwo, straight.iwr, turned.iwo) > 0.9
    assert iwo(sheared, FACTORS).iwo < straight.iwo - 0.1
