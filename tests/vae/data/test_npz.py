import io
import os
import struct
import zipfile

import numpy as np
import pytest

from tests.vae.data.published import write_npz
from vae.data.errors import DataFileError
from vae.data.npz import open_member

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 4, 4), np.uint8)


def write_members(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def npy(array, allow_pickle=False):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def test_a_stored_array_is_mapped_and_a_compressed_one_streamed(tmp_path):
    stored = open_member(write_npz(tmp_path / "a.npz", compress=False, imgs=IMAGES), "imgs", np.uint8, (4, 4))
    assert isinstance(stored.mapped(), np.memmap)
    assert np.array_equal(stored.mapped(), IMAGES)
    packed = open_member(write_npz(tmp_path / "b.npz", imgs=IMAGES), "imgs", np.uint8, (4, 4))
    assert packed.offset is None
    assert np.array_equal(np.concatenate(list(packed.blocks(7))), IMAGES)


def test_the_headers_of_very_large_members_are_understood(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("imgs.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, IMAGES)
    assert np.array_equal(open_member(tmp_path / "a.npz", "imgs", np.uint8, (4, 4)).mapped(), IMAGES)


def test_pickled_members_beside_the_array_are_never_opened(tmp_path):
    path = write_npz(tmp_path / "a.npz", imgs=IMAGES, metadata=np.array({"a": 1}, dtype=object))
    assert open_member(path, "imgs", np.uint8, (4, 4)).shape == (50, 4, 4)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def test_an_array_of_pickled_objects_is_refused_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_members(tmp_path / "a.npz", {"imgs.npy": npy(np.array([Hostile()], dtype=object), allow_pickle=True)})
    with pytest.raises(DataFileError, match=r"imgs .*holds pickled objects"):
        open_member(path, "imgs", np.uint8, (4, 4))
    assert not (tmp_path / "made-by-a-pickle").exists()


def test_a_missing_array_is_named_with_what_is_there(tmp_path):
    with pytest.raises(DataFileError, match=r"has no array 'imgs' \(it holds images\)"):
        open_member(write_npz(tmp_path / "a.npz", images=IMAGES), "imgs", np.uint8, (4, 4))


@pytest.mark.parametrize("array", [IMAGES.astype(np.float32), IMAGES[:, :3], IMAGES[0], np.asfortranarray(IMAGES)])
def test_an_array_of_another_type_or_shape_is_refused(tmp_path, array):
    with pytest.raises(DataFileError, match="imgs is "):
        open_member(write_npz(tmp_path / "a.npz", imgs=array), "imgs", np.uint8, (4, 4))


def test_a_member_that_would_inflate_to_more_than_its_header_says_is_refused(tmp_path):
    bomb = write_members(tmp_path / "a.npz", {"imgs.npy": npy(IMAGES) + bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(DataFileError, match="its shape takes"):
        open_member(bomb, "imgs", np.uint8, (4, 4))


def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path):
    header = npy(IMAGES).replace(b"(50, 4, 4)", b"(90, 4, 4)")
    with pytest.raises(DataFileError, match="its shape takes"):
        open_member(write_members(tmp_path / "a.npz", {"imgs.npy": header}), "imgs", np.uint8, (4, 4))


@pytest.mark.parametrize("data", [b"", b"no archive at all", b"PK\x03\x04" + bytes(100)])
def test_a_file_that_is_no_archive_is_refused(tmp_path, data):
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    with pytest.raises(DataFileError, match=r"is no \.npz file or is damaged"):
        open_member(path, "imgs", np.uint8, (4, 4))


def test_a_cut_file_is_refused(tmp_path):
    path = write_npz(tmp_path / "a.npz", imgs=IMAGES)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataFileError, match="damaged"):
        open_member(path, "imgs", np.uint8, (4, 4))


def test_a_flipped_bit_is_found_while_a_compressed_array_is_read(tmp_path):
    path = write_npz(tmp_path / "a.npz", imgs=IMAGES)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataFileError):
        list(open_member(path, "imgs", np.uint8, (4, 4)).blocks())


def test_a_member_placed_beyond_the_end_is_refused(tmp_path):
    path = write_npz(tmp_path / "a.npz", compress=False, imgs=IMAGES)
    data = bytearray(path.read_bytes())
    name_length = data.find(b"PK\x03\x04") + 26
    data[name_length + 2 : name_length + 4] = struct.pack("<H", 60_000)  # an extra field that is not there
    path.write_bytes(data)
    with pytest.raises(DataFileError):
        open_member(path, "imgs", np.uint8, (4, 4))
