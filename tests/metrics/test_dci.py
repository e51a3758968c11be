from typing import Any

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.dci import dci

CODES = np.random.default_rng(0).normal(size=(400, 3))
FACTORS = np.stack([np.digitize(CODES[:, k], [-0.5, 0.5]) for k in (0, 1)], axis=1)


def test_dci_of_the_noisy_case_is_the_references(load_reference: Any) -> None:
    check_against_reference(load_reference("noisy"))


@pytest.mark.slow
def test_dci_is_the_references_in_every_case(varying_case: Any) -> None:
    check_against_reference(varying_case)


def check_against_reference(case: Any) -> None:
    scores = dci(*case.split).as_dict()
    assert scores == pytest.approx({name: case.scores["dci"][name] for name in scores}, abs=1e-3)


def test_one_latent_for_each_factor_scores_one() -> None:
    scores = dci(CODES, FACTORS, CODES, FACTORS)
    assert min(scores.disentanglement, scores.completeness, scores.informativeness_train) > 0.999
    assert scores.importances.argmax(axis=0).tolist() == [0, 1]


def test_dead_latents_score_zero() -> None:
    scores = dci(0 * CODES, FACTORS, 0 * CODES, FACTORS)
    assert (scores.disentanglement, scores.completeness) == (0.0, 0.0)


def test_the_number_of_jobs_does_not_change_the_scores() -> None:
    assert dci(CODES, FACTORS, CODES, FACTORS, jobs=1) == dci(CODES, FACTORS, CODES, FACTORS, jobs=2)


def test_one_factor_or_one_latent_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="factors vary"):
        dci(CODES, FACTORS[:, :1], CODES, FACTORS[:, :1])
    with pytest.raises(InvalidArgumentError, match="latent"):
        dci(CODES[:, :1], FACTORS, CODES[:, :1], FACTORS)
