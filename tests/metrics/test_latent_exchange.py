import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import interventional_accuracy
from ganspace_topdis.metrics.inputs import Array
from tests.metrics.kinds import SIZES, draw_kind

CODES, FACTORS = draw_kind("perfect", 1500)
SIZE = np.array(SIZES)
TURN = np.eye(4)
TURN[:2, :2] = np.array([[1, -1], [1, 1]]) / np.sqrt(2)


def read(codes: Array) -> Array:
    """The factors of the image that a perfect generator draws from perfect codes."""
    return np.clip(np.rint(codes / 3.4 * SIZE + (SIZE - 1) / 2), 0, SIZE - 1)


def test_a_perfect_code_scores_one_and_names_its_latents() -> None:
    found = interventional_accuracy(CODES, FACTORS, read)
    assert found.as_dict() == {"score": 1.0, "cause": 1.0, "isolation": 1.0}
    assert found.latents == ((0,), (1,), (2,), (3,))


def test_permuted_and_rescaled_latents_score_the_same() -> None:
    order, scale = np.array([2, 0, 3, 1]), np.array([3.0, -1.0, 0.5, -2.0])
    found = interventional_accuracy(
        CODES[:, order] * scale, FACTORS, lambda codes: read((codes / scale)[:, np.argsort(order)])
    )
    assert found.score == 1.0
    assert found.latents == ((1,), (3,), (0,), (2,))


def test_entangled_latents_lose_cause_alone_and_isolation_together() -> None:
    def decode(codes: Array) -> Array:
        return read(codes @ TURN.T)

    alone = interventional_accuracy(CODES @ TURN, FACTORS, decode)
    assert 0.5 < alone.cause < 0.8
    both = interventional_accuracy(CODES @ TURN, FACTORS, decode, latents=[[0, 1], [0, 1], [2], [3]])
    assert both.cause == 1.0
    assert both.isolation < 0.95


def test_latents_that_the_generator_ignores_score_a_half() -> None:
    collapsed = interventional_accuracy(CODES, FACTORS, lambda codes: np.zeros((len(codes), 4)))
    assert (collapsed.score, collapsed.cause, collapsed.isolation) == (0.5, 0.0, 1.0)
    dead = interventional_accuracy(np.hstack([CODES, CODES]), FACTORS, lambda codes: read(codes[:, 4:]))
    assert (dead.score, dead.cause, dead.isolation) == (0.5, 0.0, 1.0)


def test_continuous_factors_are_compared_within_a_twentieth_of_their_range() -> None:
    factors = np.random.default_rng(0).uniform(size=(800, 2))
    codes = factors * [2.0, 5.0]
    assert interventional_accuracy(codes, factors, lambda z: z / [2.0, 5.0]).score == 1.0
    blurred = interventional_accuracy(codes, factors, lambda z: z / [2.0, 5.0] + 0.5 * z[:, ::-1] / [5.0, 2.0])
    assert blurred.score < 0.8


def test_a_constant_factor_is_not_intervened_on() -> None:
    factors = np.insert(FACTORS, 1, 7, axis=1)
    found = interventional_accuracy(CODES, factors, lambda codes: np.insert(read(codes), 1, 7, axis=1))
    assert found.score == 1.0
    assert len(found.latents) == 4


def test_pairs_differ_in_the_factor() -> None:
    from ganspace_topdis.metrics.latent_exchange import _draw_pairs

    labels = np.array([0, 0, 0, 5, 2, 2])
    base, source = _draw_pairs(labels, 2000, np.random.default_rng(0))
    assert (labels[base] != labels[source]).all()
    assert set(source[base == 3].tolist()) == {0, 1, 2, 4, 5}


def test_wrong_readings_and_groups_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="returned"):
        interventional_accuracy(CODES, FACTORS, lambda codes: read(codes)[:, :2])
    with pytest.raises(InvalidArgumentError, match="NaN"):
        interventional_accuracy(CODES, FACTORS, lambda codes: np.full((len(codes), 4), np.nan))
    with pytest.raises(InvalidArgumentError, match="4 groups"):
        interventional_accuracy(CODES, FACTORS, read, latents=[[0]])
    with pytest.raises(InvalidArgumentError, match="text"):
        interventional_accuracy(CODES, np.array(["a", "b", "c", "d", "e", "f", "g", "h"])[FACTORS], read)


def test_no_pairs_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="num_pairs 0 is not allowed"):
        interventional_accuracy(CODES, FACTORS, read, num_pairs=0)
