import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.factors import Factor
from tests.vae.data.published import small_info
from vae.data import dsprites, open_data, scenes
from vae.data.catalog import CATALOG
from vae.data.dataset import DataSet, ProceduralDataSet
from vae.data.opening import draw_to_array, procedural_dsprites

FACTORS = (Factor("a", 2), Factor("b", 3))


class Numbered(DataSet):
    """Image i is filled with i."""

    def __init__(self, factors=FACTORS, num_images=18):
        super().__init__(
            name="numbered", factors=factors, image_shape=(2, 2, 1), num_images=num_images, fingerprint="1"
        )

    def _read(self, indices):
        return np.broadcast_to(indices[:, None, None, None], (len(indices), 2, 2, 1)).astype(np.uint8)


def test_images_of_one_combination_follow_one_another():
    assert Numbered().images_per_combination == 3
    assert Numbered().codes(np.arange(18)).tolist() == [[a, b] for a in range(2) for b in range(3) for _ in range(3)]


def test_codes_and_indices_undo_each_other():
    data = Numbered(num_images=6)
    assert data.indices(data.codes(np.arange(6))).tolist() == list(range(6))


def test_the_first_image_of_a_combination_stands_for_it_unless_one_is_drawn():
    data = Numbered()
    codes = np.repeat([[1, 1]], 200, axis=0)
    assert set(data.indices(codes)) == {12}
    assert set(data.indices(codes, np.random.default_rng(0))) == {12, 13, 14}


def test_sampling_reaches_every_image_about_equally_often():
    drawn = Numbered().sample(18_000, np.random.default_rng(0))
    counts = np.bincount(drawn, minlength=18)
    assert counts.min() > 850
    assert counts.max() < 1150


def test_a_set_without_factors_is_sampled_but_has_no_codes():
    data = Numbered(factors=(), num_images=5)
    assert set(data.sample(100, np.random.default_rng(0))) == set(range(5))
    assert data.factor_sizes == ()
    for ask in (data.codes, data.indices):
        with pytest.raises(InvalidArgumentError, match="numbered has no known factors"):
            ask([0])


def test_no_indices_give_no_images():
    assert Numbered().images([]).shape == (0, 2, 2, 1)


@pytest.mark.parametrize("indices", [[18], [-1], [0.5], [[0]]])
def test_indices_that_name_no_image_are_refused(indices):
    with pytest.raises(InvalidArgumentError, match="indices"):
        Numbered().images(indices)


@pytest.mark.parametrize(
    ("codes", "message"), [([[0, 3]], "b range from 3 to 3, but must be 0 to 2"), ([0, 1], "codes is")]
)
def test_codes_outside_of_the_grid_are_refused(codes, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Numbered().indices(codes)


RNG = np.random.default_rng(0)


def test_drawn_sprites_are_black_and_white():
    data = open_data("dsprites")
    codes = data.sample_codes(20, RNG)
    assert np.array_equal(data.images(data.indices(codes)), 255 * dsprites.draw(codes)[..., None])


@pytest.mark.parametrize(("name", "resolution"), [("scenes", 64), ("scenes-32", 32)])
def test_scenes_are_those_of_the_renderer(name, resolution):
    data = open_data(name)
    codes = data.sample_codes(4, RNG)
    assert np.array_equal(data.images(data.indices(codes)), scenes.draw(codes, resolution))


def test_a_grid_drawn_once_has_the_images_that_are_drawn_at_need(store):
    info = small_info("dsprites-cached", (3, 2, 2, 2, 2))
    kept = draw_to_array(info, procedural_dsprites(info), store)
    drawn = procedural_dsprites(info)
    assert np.array_equal(kept.images(np.arange(48)), drawn.images(np.arange(48)))
    assert kept.array.shape == (48, 512)


def test_color_images_are_kept_as_bytes(store):
    info = small_info("scenes-cached", (2, 1, 1, 1, 2, 1), image_shape=(32, 32, 3))
    drawn = ProceduralDataSet(info, lambda codes: scenes.draw(codes, 32), version="x")
    assert np.array_equal(draw_to_array(info, drawn, store).images([3, 0]), drawn.images([3, 0]))


def test_fingerprints_tell_sets_apart():
    assert len({open_data(name).fingerprint for name in ("dsprites", "scenes", "scenes-32")}) == 3


@pytest.mark.slow
def test_the_whole_grid_is_drawn_and_cached(cache):
    data = open_data("dsprites-cached")
    assert len(data) == CATALOG["dsprites"].num_images
    some = RNG.integers(0, len(data), 1000)
    assert np.array_equal(data.images(some), open_data("dsprites").images(some))
