import json

import numpy as np
import pytest

from ganspace_topdis.errors import RunFolderError
from tests.vae.data.published import random_images, small_info
from vae.data.errors import DataFileError
from vae.data.stored import ArrayStore, StoredSet, packed

INFO = small_info("3dshapes", (2, 1, 1, 2, 2, 3))
IMAGES = random_images(INFO)


def refuse():
    pytest.fail("the array was made a second time")


def halves():
    return [IMAGES[:10], IMAGES[10:]]


def test_an_array_is_made_once_and_mapped_afterwards(tmp_path):
    store = ArrayStore(folder=tmp_path / "new" / "arrays")
    assert np.array_equal(store.array("key", INFO, halves), IMAGES)
    again = store.array("key", INFO, refuse)
    assert isinstance(again, np.memmap)
    assert np.array_equal(again, IMAGES)
    assert sorted(path.suffix for path in store.folder.iterdir()) == [".json", ".u8"]


def test_without_a_folder_an_array_stays_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(ArrayStore().array("key", INFO, halves), IMAGES)
    assert not list(tmp_path.iterdir())


def test_a_damaged_array_is_made_again(tmp_path):
    store = ArrayStore(folder=tmp_path)
    store.array("key", INFO, halves)
    file = store.file_of("key", INFO)
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    assert np.array_equal(store.array("key", INFO, halves), IMAGES)
    file.write_bytes(data[:-1])
    assert np.array_equal(store.array("key", INFO, halves), IMAGES)
    file.with_suffix(".json").write_text("{")
    assert np.array_equal(store.array("key", INFO, halves), IMAGES)


def test_an_array_that_broke_off_leaves_nothing(tmp_path):
    def broken():
        yield IMAGES[:5]
        raise DataFileError("the source is damaged")

    store = ArrayStore(folder=tmp_path)
    with pytest.raises(DataFileError, match="the source is damaged"):
        store.array("key", INFO, broken)
    assert store.file_of("key", INFO) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("images", [IMAGES[:-1], np.concatenate([IMAGES, IMAGES])])
def test_too_few_or_too_many_images_are_refused(store, images):
    with pytest.raises(DataFileError, match="ends too early or goes on too long"):
        store.array("key", INFO, lambda: [images])


def test_a_folder_that_cannot_be_made_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="set TOPDIS_CACHE to another folder, or read the set into memory"):
        ArrayStore(folder=tmp_path / "file" / "arrays").array("key", INFO, halves)


def test_progress_counts_images(tmp_path):
    seen = []
    ArrayStore(folder=tmp_path, progress=lambda step, num_steps: seen.append((step, num_steps))).array(
        "key", INFO, halves
    )
    assert seen == [(10, 24), (24, 24)]


def test_the_sum_beside_an_array_is_that_of_its_bytes(tmp_path):
    import hashlib

    store = ArrayStore(folder=tmp_path)
    store.array("key", INFO, halves)
    record = json.loads(store.file_of("key", INFO).with_suffix(".json").read_text())
    assert record["sha256"] == hashlib.sha256(IMAGES.tobytes()).hexdigest()


def test_bits_come_back_as_0_and_255():
    info = small_info("dsprites-npz", (2, 1, 2, 2, 3))
    images = random_images(info)
    data = StoredSet(info, packed(images), source="x")
    assert np.array_equal(data.images(np.arange(24)), 255 * images)


def test_images_are_copies_that_may_be_changed(tmp_path):
    data = StoredSet(INFO, ArrayStore(folder=tmp_path).array("key", INFO, halves), source="x")
    data.images([3])[:] = 0
    assert np.array_equal(data.images([3])[0], IMAGES[3])
