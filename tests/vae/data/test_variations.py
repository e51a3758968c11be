import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from tests.vae.data.published import random_images, small_info
from vae.data import correlated, open_data, subset
from vae.data.array_dataset import ArrayDataSet

DATA = open_data("dsprites")


def test_images_are_those_of_the_whole_set_with_the_kept_values():
    small = subset(DATA, {"scale": [5, 1], "posX": 3})
    codes = np.array([[2, 0, 7, 1, 30], [0, 1, 0, 2, 0]])
    whole = np.array([[2, 5, 7, 16, 30], [0, 1, 0, 31, 0]])
    assert np.array_equal(small.images(small.indices(codes)), DATA.images(DATA.indices(whole)))
    assert len(small) == 3 * 2 * 40 * 3 * 32


def test_circular_values_are_spread_without_their_end_and_categories_are_the_first():
    small = subset(DATA, {"orientation": 4, "shape": 2})
    assert small.kept[2].tolist() == [0, 10, 20, 30]
    assert small.kept[0].tolist() == [0, 1]


def test_39_orientations_are_all_but_the_published_duplicate():
    assert subset(DATA, {"orientation": 39}).kept[2].tolist() == list(range(39))


def test_several_images_of_a_combination_stay_together():
    info = small_info("smallnorb", (2, 3, 2, 2), images_per_combination=4)
    data = ArrayDataSet(info, random_images(info), source="x")
    small = subset(data, {"elevation": [2]})
    assert len(small) == 2 * 1 * 2 * 2 * 4
    assert small.original(np.arange(8)).tolist() == [32, 33, 34, 35, 36, 37, 38, 39]


def test_the_name_opens_the_same_set_again():
    small = subset(DATA, {"scale": 2, "posX": [0, 4]})
    again = open_data(small.name)
    assert small.name == "dsprites:scale=2,posX=0+4"
    assert again.fingerprint == small.fingerprint
    assert again.factor_sizes == small.factor_sizes


def test_other_values_have_another_fingerprint():
    assert subset(DATA, {"posX": [0, 4]}).fingerprint != subset(DATA, {"posX": [0, 5]}).fingerprint


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"posZ": 2}, "has no factor 'posZ'; choose one of shape, scale"),
        ({"posX": 0}, "posX=0: posX has 32 values"),
        ({"posX": 33}, "posX=33: posX has 32 values"),
        ({"posX": [1, 1]}, r"posX=1\+1: give distinct values from 0 to 31"),
        ({"posX": [32]}, "from 0 to 31"),
        ({"posX": []}, "give distinct values"),
    ],
)
def test_values_that_do_not_exist_are_refused(values, message):
    with pytest.raises(InvalidArgumentError, match=message):
        subset(DATA, values)


def test_a_correlated_set_is_not_cut():
    with pytest.raises(InvalidArgumentError, match="take the subset first"):
        subset(correlated(DATA, "posX", "posY", 0.1), {"scale": 2})


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


def test_the_name_of_a_correlated_set_opens_it_again():
    data = correlated(subset(DATA, {"scale": 2}), "posX", "posY", 0.1)
    assert data.name == "dsprites:scale=2,posX~posY=0.1"
    assert open_data(data.name).fingerprint == data.fingerprint
    assert open_data("dsprites:scale=2,posX~posY=0.2").fingerprint != data.fingerprint


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("posX", "posZ", 0.1), "has no factor 'posZ'"),
        (("posX", "posX", 0.1), "cannot be correlated with itself"),
        (("posX", "posY", 0), "strength is the standard deviation sigma"),
        (("posX", "posY", float("nan")), "strength is the standard deviation sigma"),
    ],
)
def test_pairs_that_make_no_sense_are_refused(pair, message):
    with pytest.raises(InvalidArgumentError, match=message):
        correlated(DATA, *pair)


def test_a_factor_of_one_value_correlates_with_nothing():
    with pytest.raises(InvalidArgumentError, match="scale has only one value"):
        correlated(subset(DATA, {"scale": 1}), "scale", "posX", 0.1)
