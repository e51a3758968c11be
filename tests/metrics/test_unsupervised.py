from typing import Any

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.unsupervised import unsupervised_scores


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
        unsupervised_scores(np.hstack([code, code]))
    assert unsupervised_scores(np.hstack([code, 0 * code])).gaussian_total_correlation == pytest.approx(0)
