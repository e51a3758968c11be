"""Data sets drawn on demand and stored in arrays, their cache, and pictures of them."""

import hashlib
import threading

import numpy as np
import pytest
from PIL import Image

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.factors import Factor
from tests.vae.data.published import random_images, small_info
from vae.data import dsprites, open_data, scenes
from vae.data.array_dataset import ArrayDataSet, ArrayStore, pack_bits
from vae.data.catalog import CATALOG
from vae.data.celeba import center_crop
from vae.data.dataset import DataSet, ProceduralDataSet, resize_images
from vae.data.inventory import contact_sheet
from vae.data.opening import draw_to_array, procedural_dsprites
from vae.data.source_files import DataFileError

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


ROWS_INFO = small_info("3dshapes", (2, 1, 1, 2, 2, 3))
ROWS = random_images(ROWS_INFO)


def refuse():
    pytest.fail("the array was made a second time")


def halves():
    return [ROWS[:10], ROWS[10:]]


def file_of(store):
    return store.folder / "3dshapes" / "key" / "images.u8"


def test_an_array_is_made_once_and_mapped_afterwards(tmp_path):
    store = ArrayStore(folder=tmp_path / "new" / "arrays")
    assert np.array_equal(store.array("key", ROWS_INFO, halves), ROWS)
    again = store.array("key", ROWS_INFO, refuse)
    assert isinstance(again, np.memmap)
    assert np.array_equal(again, ROWS)
    assert sorted(path.name for path in file_of(store).parent.iterdir()) == [".lock", "images.u8", "record.json"]


def test_without_a_folder_an_array_stays_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(ArrayStore().array("key", ROWS_INFO, halves), ROWS)
    assert not list(tmp_path.iterdir())


def test_a_damaged_array_is_made_again(tmp_path):
    store = ArrayStore(folder=tmp_path)
    store.array("key", ROWS_INFO, halves)
    file = file_of(store)
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    assert np.array_equal(store.array("key", ROWS_INFO, halves), ROWS)
    file.write_bytes(data[:-1])
    assert np.array_equal(store.array("key", ROWS_INFO, halves), ROWS)
    (file.parent / "record.json").write_text("{")
    assert np.array_equal(store.array("key", ROWS_INFO, halves), ROWS)


def test_an_array_that_broke_off_leaves_nothing(tmp_path):
    def broken():
        yield ROWS[:5]
        raise DataFileError("the source is damaged")

    store = ArrayStore(folder=tmp_path)
    with pytest.raises(DataFileError, match="the source is damaged"):
        store.array("key", ROWS_INFO, broken)
    assert store.stored(ROWS_INFO) == []
    assert [path.name for path in file_of(store).parent.iterdir()] == [".lock"]


@pytest.mark.parametrize("images", [ROWS[:-1], np.concatenate([ROWS, ROWS])])
def test_too_few_or_too_many_images_are_refused(store, images):
    for blocks in ([images], [images[:5], images[5:]], [ROWS, images]):
        with pytest.raises(DataFileError, match=r"too short or too long \([\d,]+ of [\d,]+ (images|bytes)\)"):
            store.array("key", ROWS_INFO, lambda blocks=blocks: blocks)


def test_a_folder_that_cannot_be_made_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="set TOPDIS_CACHE to another folder, or read the data set into memory"):
        ArrayStore(folder=tmp_path / "file" / "arrays").array("key", ROWS_INFO, halves)


def test_progress_counts_images(tmp_path):
    seen = []
    ArrayStore(folder=tmp_path, progress=lambda step, num_steps: seen.append((step, num_steps))).array(
        "key", ROWS_INFO, halves
    )
    assert seen == [(10, 24), (24, 24)]


def test_the_sum_beside_an_array_is_that_of_its_bytes(tmp_path):
    store = ArrayStore(folder=tmp_path)
    store.array("key", ROWS_INFO, halves)
    assert store.stored(ROWS_INFO) == [(file_of(store), hashlib.sha256(ROWS.tobytes()).hexdigest())]


def test_who_comes_while_an_array_is_made_waits_and_takes_it(tmp_path, monkeypatch):
    monkeypatch.setattr("vae.data.array_dataset._POLL_S", 0.01)
    store, begun, go_on = ArrayStore(folder=tmp_path), threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go_on.wait(10)
        yield ROWS

    maker = threading.Thread(target=store.array, args=("key", ROWS_INFO, slow))
    maker.start()
    assert begun.wait(10)
    threading.Timer(0.05, go_on.set).start()
    assert np.array_equal(store.array("key", ROWS_INFO, refuse), ROWS)
    maker.join(10)


def test_a_lock_that_fails_without_a_holder_is_no_reason_to_wait_for_ever(tmp_path, monkeypatch):
    def fail(folder):
        raise RunFolderError(f"cannot write in {folder}")

    monkeypatch.setattr("vae.data.array_dataset._POLL_S", 0.0)
    monkeypatch.setattr("vae.data.array_dataset.FolderLock", fail)
    with pytest.raises(RunFolderError, match="cannot write in"):
        ArrayStore(folder=tmp_path).array("key", ROWS_INFO, halves)


def test_bits_come_back_as_0_and_255():
    info = small_info("dsprites-npz", (2, 1, 2, 2, 3))
    images = random_images(info)
    data = ArrayDataSet(info, pack_bits(images), source="x")
    assert np.array_equal(data.images(np.arange(24)), 255 * images)


def test_images_are_copies_that_may_be_changed(tmp_path):
    data = ArrayDataSet(ROWS_INFO, ArrayStore(folder=tmp_path).array("key", ROWS_INFO, lambda: [ROWS]), source="x")
    data.images([3])[:] = 0
    assert np.array_equal(data.images([3])[0], ROWS[3])


def test_images_of_the_right_size_are_left_alone():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    assert resize_images(images, 8, 8) is images


def test_gray_and_color_images_are_reduced_one_by_one():
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    assert resize_images(images, 8, 8).shape == (3, 8, 8, 3)
    assert resize_images(images[..., 0], 8, 4).shape == (3, 8, 4)
    assert np.array_equal(resize_images(images, 8, 8)[1], resize_images(images[1:2], 8, 8)[0])


def test_an_even_picture_stays_even():
    assert np.array_equal(resize_images(np.full((1, 96, 96), 77, np.uint8), 64, 64), np.full((1, 64, 64), 77))


def test_the_crop_is_the_middle():
    pixels = np.zeros((10, 8), np.uint8)
    pixels[3:7, 2:6] = 1
    assert np.asarray(center_crop(Image.fromarray(pixels), 4)).all()


def test_a_row_a_factor_with_as_many_images_as_it_has_values():
    sheet = np.asarray(contact_sheet(open_data("dsprites"), num_columns=8, cell_px=64))
    assert sheet.shape[0] == 2 * 16 + 5 * 64 + 4 * 4
    black = (sheet == 0).all(axis=2)
    filled = [black[16 + row * 68 + 32, -16 - 8 * 68 :].sum() for row in range(5)]
    assert filled[0] < filled[1] < filled[2]  # 3 shapes, 6 scales, 8 of 40 orientations


def test_a_set_without_factors_is_shown_at_random():
    info = small_info("celeba", num_listed=30)
    sheet = contact_sheet(ArrayDataSet(info, random_images(info), source="x"), num_columns=3)
    assert sheet.height == 2 * 16 + 5 * 64 + 4 * 4


def test_the_same_seed_gives_the_same_sheet():
    first, again = (contact_sheet(open_data("scenes-32"), num_columns=3, cell_px=32, seed=4) for _ in range(2))
    assert first.tobytes() == again.tobytes()
