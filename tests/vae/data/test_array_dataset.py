import hashlib
import threading

import numpy as np
import pytest

from ganspace_topdis.errors import RunFolderError
from tests.vae.data.published import random_images, small_info
from vae.data.array_dataset import ArrayDataSet, ArrayStore, pack_bits
from vae.data.source_files import DataFileError

INFO = small_info("3dshapes", (2, 1, 1, 2, 2, 3))
IMAGES = random_images(INFO)


def refuse():
    pytest.fail("the array was made a second time")


def halves():
    return [IMAGES[:10], IMAGES[10:]]


def file_of(store):
    return store.folder / "3dshapes" / "key" / "images.u8"


def test_an_array_is_made_once_and_mapped_afterwards(tmp_path):
    store = ArrayStore(folder=tmp_path / "new" / "arrays")
    assert np.array_equal(store.array("key", INFO, halves), IMAGES)
    again = store.array("key", INFO, refuse)
    assert isinstance(again, np.memmap)
    assert np.array_equal(again, IMAGES)
    assert sorted(path.name for path in file_of(store).parent.iterdir()) == [".lock", "images.u8", "record.json"]


def test_without_a_folder_an_array_stays_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(ArrayStore().array("key", INFO, halves), IMAGES)
    assert not list(tmp_path.iterdir())


def test_a_damaged_array_is_made_again(tmp_path):
    store = ArrayStore(folder=tmp_path)
    store.array("key", INFO, halves)
    file = file_of(store)
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    assert np.array_equal(store.array("key", INFO, halves), IMAGES)
    file.write_bytes(data[:-1])
    assert np.array_equal(store.array("key", INFO, halves), IMAGES)
    (file.parent / "record.json").write_text("{")
    assert np.array_equal(store.array("key", INFO, halves), IMAGES)


def test_an_array_that_broke_off_leaves_nothing(tmp_path):
    def broken():
        yield IMAGES[:5]
        raise DataFileError("the source is damaged")

    store = ArrayStore(folder=tmp_path)
    with pytest.raises(DataFileError, match="the source is damaged"):
        store.array("key", INFO, broken)
    assert store.stored(INFO) == []
    assert [path.name for path in file_of(store).parent.iterdir()] == [".lock"]


@pytest.mark.parametrize("images", [IMAGES[:-1], np.concatenate([IMAGES, IMAGES])])
def test_too_few_or_too_many_images_are_refused(store, images):
    with pytest.raises(DataFileError, match="too short or too long"):
        store.array("key", INFO, lambda: [images])


def test_a_folder_that_cannot_be_made_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="set TOPDIS_CACHE to another folder, or read the data set into memory"):
        ArrayStore(folder=tmp_path / "file" / "arrays").array("key", INFO, halves)


def test_progress_counts_images(tmp_path):
    seen = []
    ArrayStore(folder=tmp_path, progress=lambda step, num_steps: seen.append((step, num_steps))).array(
        "key", INFO, halves
    )
    assert seen == [(10, 24), (24, 24)]


def test_the_sum_beside_an_array_is_that_of_its_bytes(tmp_path):
    store = ArrayStore(folder=tmp_path)
    store.array("key", INFO, halves)
    assert store.stored(INFO) == [(file_of(store), hashlib.sha256(IMAGES.tobytes()).hexdigest())]


def test_who_comes_while_an_array_is_made_waits_and_takes_it(tmp_path, monkeypatch):
    monkeypatch.setattr("vae.data.array_dataset._POLL_S", 0.01)
    store, begun, go_on = ArrayStore(folder=tmp_path), threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go_on.wait(10)
        yield IMAGES

    maker = threading.Thread(target=store.array, args=("key", INFO, slow))
    maker.start()
    assert begun.wait(10)
    threading.Timer(0.05, go_on.set).start()
    assert np.array_equal(store.array("key", INFO, refuse), IMAGES)
    maker.join(10)


def test_a_lock_that_fails_without_a_holder_is_no_reason_to_wait_for_ever(tmp_path, monkeypatch):
    def fail(folder):
        raise RunFolderError(f"cannot write in {folder}")

    monkeypatch.setattr("vae.data.array_dataset._POLL_S", 0.0)
    monkeypatch.setattr("vae.data.array_dataset.FolderLock", fail)
    with pytest.raises(RunFolderError, match="cannot write in"):
        ArrayStore(folder=tmp_path).array("key", INFO, halves)


def test_bits_come_back_as_0_and_255():
    info = small_info("dsprites-npz", (2, 1, 2, 2, 3))
    images = random_images(info)
    data = ArrayDataSet(info, pack_bits(images), source="x")
    assert np.array_equal(data.images(np.arange(24)), 255 * images)


def test_images_are_copies_that_may_be_changed(tmp_path):
    data = ArrayDataSet(INFO, ArrayStore(folder=tmp_path).array("key", INFO, lambda: [IMAGES]), source="x")
    data.images([3])[:] = 0
    assert np.array_equal(data.images([3])[0], IMAGES[3])
