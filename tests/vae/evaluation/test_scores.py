import numpy as np
import pytest

from vae.evaluation.encoding import Encoded
from vae.evaluation.scores import describe_latents


def encoded() -> Encoded:
    """Latent 0 is half of factor 0's value, latent 1 constant, latent 2 noise of its own."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, size=(4000, 2))
    means = np.stack([codes[:, 0] / 2, np.zeros(4000), 0.04 * rng.normal(size=4000)], axis=1).astype(np.float32)
    return Encoded(means=means, logvars=np.zeros_like(means), codes=codes)


def test_latents_come_in_order_of_falling_divergence() -> None:
    latents = describe_latents(encoded(), ["a", "b"])
    assert [latent.index for latent in latents] == [0, 2, 1]
    assert latents[-1].kl == 0


def test_a_latent_that_is_a_factor_tells_all_of_it_and_nothing_of_another() -> None:
    first = describe_latents(encoded(), ["a", "b"])[0]
    assert first.shares["a"] == pytest.approx(1.0)
    assert first.shares["b"] < 0.01
    assert first.factor == "a"


def test_a_latent_is_live_from_a_deviation_of_a_twentieth_on() -> None:
    assert {latent.index: latent.live for latent in describe_latents(encoded(), [])} == {0: True, 1: False, 2: False}


def test_without_factors_there_is_nothing_to_tell() -> None:
    latents = describe_latents(encoded(), [])
    assert all(latent.factor is None and latent.shares == {} for latent in latents)


def test_a_factor_of_one_value_has_no_share() -> None:
    constant = encoded()
    constant.codes[:, 1] = 0
    assert describe_latents(constant, ["a", "b"])[0].shares["b"] == 0
