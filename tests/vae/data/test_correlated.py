import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from vae.data import correlated, open_data, subset

DATA = open_data("dsprites")


def draw(data, num=200_000):
    return data.sample_codes(num, np.random.default_rng(0))


def test_pairs_come_as_often_as_the_law_says():
    data = correlated(subset(DATA, {"posX": 4, "posY": 5}), "posX", "posY", 0.4)
    c1, c2 = np.meshgrid(np.linspace(0, 1, 4), np.linspace(0, 1, 5), indexing="ij")
    law = np.exp(-((c1 - c2) ** 2) / (2 * 0.4**2))
    codes = draw(data)
    counts = np.zeros((4, 5))
    np.add.at(counts, (codes[:, 3], codes[:, 4]), 1)
    assert counts / counts.sum() == pytest.approx(law / law.sum(), abs=0.003)
    assert data.joint() == pytest.approx(law / law.sum())


def test_the_other_factors_stay_uniform_and_independent():
    codes = draw(correlated(DATA, "posX", "posY", 0.1))
    assert np.bincount(codes[:, 0]) / len(codes) == pytest.approx(np.full(3, 1 / 3), abs=0.01)
    assert np.abs(np.corrcoef(codes[:, :4].T) - np.eye(4)).max() < 0.02


def test_a_smaller_strength_number_correlates_more():
    found = [np.corrcoef(draw(correlated(DATA, "posX", "posY", sigma), 20_000)[:, 3:].T)[0, 1] for sigma in (0.1, 0.4)]
    assert found[0] > 0.85 > found[1] > 0.1


def test_several_pairs_are_correlated_at_once_also_when_they_share_a_factor():
    two = draw(correlated(correlated(DATA, "shape", "scale", 0.1), "posX", "posY", 0.1))
    found = np.corrcoef(two.T)
    assert found[0, 1] > 0.8
    assert found[3, 4] > 0.8
    assert abs(found[0, 3]) < 0.02
    shared = correlated(correlated(DATA, "posX", "posY", 0.1), "scale", "posY", 0.1)
    assert np.corrcoef(draw(shared).T)[1, 3] > 0.7
    assert shared.pairs == ((3, 4, 0.1), (1, 4, 0.1))


def test_reading_is_unchanged_and_the_set_without_correlations_is_kept():
    data = correlated(DATA, "posX", "posY", 0.1)
    assert np.array_equal(data.images([5, 99]), DATA.images([5, 99]))
    assert data.independent is DATA
    assert DATA.independent is DATA
    assert len(data) == len(DATA)


def test_samples_follow_the_codes():
    data = correlated(DATA, "posX", "posY", 0.04)
    codes = data.codes(data.sample(5000, np.random.default_rng(1)))
    assert np.abs(codes[:, 3] - codes[:, 4]).mean() < 2


def test_the_name_opens_the_same_set_again():
    data = correlated(subset(DATA, {"scale": 2}), "posX", "posY", 0.1)
    assert data.name == "dsprites:scale=2,posX~posY=0.1"
    assert open_data(data.name).fingerprint == data.fingerprint
    assert open_data("dsprites:scale=2,posX~posY=0.2").fingerprint != data.fingerprint


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("posX", "posZ", 0.1), "has no factor 'posZ'"),
        (("posX", "posX", 0.1), "cannot be correlated with itself"),
        (("posX", "posY", 0), "strength is the width sigma"),
        (("posX", "posY", float("nan")), "strength is the width sigma"),
    ],
)
def test_pairs_that_make_no_sense_are_refused(pair, message):
    with pytest.raises(InvalidArgumentError, match=message):
        correlated(DATA, *pair)


def test_a_factor_of_one_value_correlates_with_nothing():
    with pytest.raises(InvalidArgumentError, match="scale has one value only"):
        correlated(subset(DATA, {"scale": 1}), "scale", "posX", 0.1)
