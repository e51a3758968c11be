from typing import Any

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import udr, unsupervised_scores

CODES = np.random.default_rng(0).normal(size=(400, 3))


def test_the_scores_are_the_references(case: Any) -> None:
    ours, theirs = unsupervised_scores(case.train[0]), case.scores["unsupervised"]
    expected = theirs.get("gaussian_total_correlation", ours.gaussian_total_correlation)
    assert ours.gaussian_total_correlation == pytest.approx(expected, abs=1e-9)
    assert ours.gaussian_wasserstein_correlation == pytest.approx(theirs["gaussian_wasserstein_correlation"], abs=1e-9)
    assert ours.mutual_information == pytest.approx(theirs["mutual_info_score"], abs=1e-9)


def test_total_correlation_of_two_gaussians_has_its_closed_form() -> None:
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 3)) * [1, 1, 0] + [[0, 0, 1]] * 50)[0]
    basis = np.linalg.svd(basis - basis.mean(0), full_matrices=False)[0][:, :2]
    codes = np.stack([basis[:, 0], 0.6 * basis[:, 0] + 0.8 * basis[:, 1]], axis=1)
    assert unsupervised_scores(codes).gaussian_total_correlation == pytest.approx(-0.5 * np.log(1 - 0.36), abs=1e-9)


def test_repeated_latents_are_refused_and_dead_ones_ignored() -> None:
    code = np.random.default_rng(0).integers(0, 9, size=(50, 1)).astype(float)
    with pytest.raises(InvalidArgumentError, match="linearly"):
        unsupervised_scores(np.hstack([code, 0.001 * code]))
    assert unsupervised_scores(np.hstack([code, 0 * code])).gaussian_total_correlation == pytest.approx(0)


def test_permuted_and_rescaled_models_agree() -> None:
    scores = udr([CODES, -2 * CODES[:, [2, 0, 1]], CODES + 1])
    assert scores.min() > 0.85


def test_a_rotated_model_agrees_less() -> None:
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    scores = udr([CODES, CODES, CODES @ rotation], method="spearman")
    assert scores[2] < 0.8 < 0.95 * udr([CODES, CODES], method="spearman")[0]


def test_latents_without_information_are_left_out() -> None:
    noisy = np.hstack([CODES, np.random.default_rng(2).normal(size=(400, 1))])
    informed = [np.array([1.0, 1.0, 1.0, 0.001])] * 2
    assert udr([noisy, noisy[:, [0, 1, 2, 3]]], informed, method="spearman").min() > 0.85


def test_models_without_a_live_latent_score_zero() -> None:
    assert udr([0 * CODES, CODES]).tolist() == [0, 0]


def test_models_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        udr([CODES])
    with pytest.raises(InvalidArgumentError, match=r"kl\[0\]"):
        udr([CODES, CODES], [np.zeros(2), np.zeros(3)])


def test_a_constant_latent_is_left_out_however_its_variance_is_rounded() -> None:
    codes = np.random.default_rng(0).standard_normal((500, 3))
    padded = np.column_stack([codes, np.full(500, 0.1)])
    for method in ("lasso", "spearman"):
        assert udr([padded, padded[:, ::-1]], method=method) == pytest.approx(
            udr([codes, codes[:, ::-1]], method=method)
        )
    assert unsupervised_scores(padded).gaussian_total_correlation == pytest.approx(
        unsupervised_scores(codes).gaussian_total_correlation
    )
