import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.udr import udr

CODES = np.random.default_rng(0).normal(size=(400, 3))


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


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        udr([CODES])
    with pytest.raises(InvalidArgumentError, match=r"kl\[0\]"):
        udr([CODES, CODES], [np.zeros(2), np.zeros(3)])
