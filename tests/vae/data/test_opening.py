"""Opening data sets by name, and their variations."""

import dataclasses
import re

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from tests.vae.data.published import random_images, small_info, write_npz
from vae.data import correlated, names, open_data, pooled, subset
from vae.data.array_dataset import ArrayDataSet, ArrayStore
from vae.data.catalog import CATALOG
from vae.data.opening import open_set
from vae.data.source_files import DataFileError

NUM_DIGITS = {"sha256": 64, "md5": 32, "git_sha1": 40}


@pytest.mark.parametrize(
    ("name", "num_images", "sizes"),
    [
        ("dsprites", 737_280, (3, 6, 40, 32, 32)),
        ("dsprites-npz", 737_280, (3, 6, 40, 32, 32)),
        ("scenes", 480_000, (10, 10, 10, 8, 4, 15)),
        ("3dshapes", 480_000, (10, 10, 10, 8, 4, 15)),
        ("mpi3d-real", 1_036_800, (6, 6, 2, 3, 3, 40, 40)),
        ("mpi3d-complex", 460_800, (4, 4, 2, 3, 3, 40, 40)),
        ("3dfaces", 127_050, (50, 21, 11, 11)),
        ("celeba", 202_599, ()),
        ("cars3d", 17_568, (4, 24, 183)),
        ("smallnorb", 48_600, (5, 9, 18, 6)),
    ],
)
def test_sets_have_their_published_sizes(name, num_images, sizes):
    assert CATALOG[name].num_images == num_images
    assert tuple(factor.size for factor in CATALOG[name].factors) == sizes


def test_dsprites_takes_378_megabytes_as_bits():
    assert CATALOG["dsprites-cached"].num_array_bytes == 737_280 * 512


@pytest.mark.parametrize("info", CATALOG.values(), ids=list(CATALOG))
def test_every_row_says_where_its_files_come_from_and_its_sums_are_whole(info):
    assert info.license
    assert info.source
    for file in info.files:
        assert file.url or info.instructions
        assert file.url is None or (file.url.startswith("https://") and file.url.endswith(file.name))
        for algorithm, num_digits in NUM_DIGITS.items():
            known = getattr(file, algorithm)
            assert known is None or re.fullmatch(f"[0-9a-f]{{{num_digits}}}", known)


def test_every_set_of_the_catalog_is_opened_or_says_how_to_get_it(tmp_path):
    for name in names():
        if CATALOG[name].files:
            with pytest.raises(DataFileError, match=f"^{name} is not on this machine: "):
                open_data(name)
        elif not name.endswith("-cached"):
            assert len(open_data(name)) == CATALOG[name].num_images


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dsprite", "'dsprite' is unknown; did you mean dsprites"),
        ("dsprites:posX", "'posX' in 'dsprites:posX' is not a variation"),
        ("dsprites:posX=two", "'posX=two' .* is not a variation"),
        ("dsprites:posX~posY=strong", "is not a variation"),
        ("dsprites:", None),
        ("dsprites:posX=8,,", "'' in .* is not a variation"),
        ("dsprites:scale=2,scale=0+5", "'dsprites:scale=2,scale=0\\+5' has scale twice; give it once"),
        ("dsprites:px=16,px=8", "has px twice; give it once"),
    ],
)
def test_names_that_cannot_be_read_are_refused(name, message):
    if message is None:
        assert open_data(name).name == "dsprites"
        return
    with pytest.raises(InvalidArgumentError, match=message):
        open_data(name)


def test_a_file_of_another_sum_is_refused_unless_that_is_wanted(tmp_path):
    info = small_info("mpi3d-toy", (6, 6, 1, 1, 1, 2, 2))
    info = dataclasses.replace(info, files=(dataclasses.replace(info.files[0], md5="0" * 32, pinned=True),))
    write_npz(tmp_path / "mpi3d_toy.npz", images=random_images(info))
    with pytest.raises(DataFileError, match=r"has the md5 .*get the published file, or read this one .*verify=False"):
        open_set(info, root=tmp_path, store=ArrayStore())
    assert len(open_set(info, root=tmp_path, store=ArrayStore(), verify=False)) == 144


def test_a_file_for_a_drawn_set_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="dsprites is procedural and reads no file"):
        open_data("dsprites", root=tmp_path)


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


def test_the_strongest_correlation_makes_two_factors_equal():
    data = open_data("dsprites:posX~posY=1e-200")
    codes = data.sample_codes(100, np.random.default_rng(0))
    assert (codes[:, 3] == codes[:, 4]).all()
    assert len(np.unique(codes[:, 3])) > 20


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


@pytest.mark.parametrize(
    ("name", "base", "num_images"),
    [
        ("dsprites-16", "dsprites:orientation=8,posX=16,posY=16", 36_864),
        ("scenes-16", "scenes-32:floor_hue=5,wall_hue=5,object_hue=5,orientation=8", 32_000),
    ],
)
def test_a_small_set_stores_block_means_of_the_set_it_is_a_view_of(name, base, num_images):
    small, large = open_data(name), open_data(base)
    assert len(small) == len(large) == num_images
    assert small.factors == large.factors
    indices = np.random.default_rng(0).integers(num_images, size=50)
    images = large.images(indices)
    side = images.shape[1] // 16
    means = images.reshape(50, 16, side, 16, side, -1).mean(axis=(2, 4))
    assert small.images(indices) == pytest.approx(means, abs=0.5)
    assert small.image_shape == (16, 16, images.shape[-1])
    assert np.array_equal(open_data(name).images(indices), small.images(indices)), "from the cache"


def test_pooling_applies_after_thinning_and_before_correlation():
    data = open_data("dsprites:px=32,posX~posY=0.1,scale=2")
    assert data.name == "dsprites:scale=2,px=32,posX~posY=0.1"
    assert (data.image_shape, data.factor_sizes[1]) == ((32, 32, 1), 2)
    assert data.independent.name == "dsprites:scale=2,px=32"
    assert data.fingerprint != open_data("dsprites:scale=2,posX~posY=0.1").fingerprint


def test_a_constant_image_keeps_its_value_when_it_is_pooled(memory):
    info = small_info("3dshapes", (2, 1, 1, 2, 2, 3))
    values = np.arange(info.num_images, dtype=np.uint8) * 10
    array = np.broadcast_to(values[:, None, None, None], (info.num_images, *info.image_shape)).copy()
    data = pooled(ArrayDataSet(info, array, source="x"), info.image_shape[0] // 2)
    assert np.array_equal(data.images(np.arange(len(data)))[:, 0, 0, 0], values)


@pytest.mark.parametrize("side", ["0", "5", "64", "128"])
def test_a_side_that_does_not_divide_the_image_is_refused(side):
    with pytest.raises(InvalidArgumentError, match=f"px={side}: .* choose one of 4, 8, 16, 32"):
        open_data(f"dsprites:px={side}")


def test_a_correlated_set_is_not_pooled():
    with pytest.raises(InvalidArgumentError, match="pool first"):
        pooled(open_data("dsprites:posX~posY=0.1"), 16)
