import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from tests.vae.data.published import random_images, small_info
from vae.data import correlated, open_data, subset
from vae.data.stored import StoredSet

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
    data = StoredSet(info, random_images(info), source="x")
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
        ({"posZ": 2}, "has no factor 'posZ': choose one of shape, scale"),
        ({"posX": 0}, "posX=0: posX has 32 values"),
        ({"posX": 33}, "posX=33: posX has 32 values"),
        ({"posX": [1, 1]}, r"posX=1\+1: give different values out of 0 to 31"),
        ({"posX": [32]}, "out of 0 to 31"),
        ({"posX": []}, "give different values"),
    ],
)
def test_values_that_do_not_exist_are_refused(values, message):
    with pytest.raises(InvalidArgumentError, match=message):
        subset(DATA, values)


def test_a_correlated_set_is_not_cut():
    with pytest.raises(InvalidArgumentError, match="take the subset first"):
        subset(correlated(DATA, "posX", "posY", 0.1), {"scale": 2})
