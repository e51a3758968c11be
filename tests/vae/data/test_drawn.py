import numpy as np
import pytest

from tests.vae.data.published import small_info
from vae.data import dsprites, open_data, scenes
from vae.data.catalogue import CATALOGUE
from vae.data.drawn import DrawnSet, draw_once, draw_sprites

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
    kept = draw_once(info, draw_sprites(info), store)
    drawn = draw_sprites(info)
    assert np.array_equal(kept.images(np.arange(48)), drawn.images(np.arange(48)))
    assert kept.array.shape == (48, 512)


def test_colour_images_are_kept_as_bytes(store):
    info = small_info("scenes-cached", (2, 1, 1, 1, 2, 1), image_shape=(32, 32, 3))
    drawn = DrawnSet(info, lambda codes: scenes.draw(codes, 32), drawing="x")
    assert np.array_equal(draw_once(info, drawn, store).images([3, 0]), drawn.images([3, 0]))


def test_fingerprints_tell_sets_apart():
    assert len({open_data(name).fingerprint for name in ("dsprites", "scenes", "scenes-32")}) == 3


@pytest.mark.slow
def test_the_whole_grid_is_drawn_and_cached(cache):
    data = open_data("dsprites-cached")
    assert len(data) == CATALOGUE["dsprites"].num_images
    some = RNG.integers(0, len(data), 1000)
    assert np.array_equal(data.images(some), open_data("dsprites").images(some))
