import ast
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vae.data.published import random_images, small_info, write_faces, write_npz
from vae.data import untrusted_files
from vae.data.opening import open_set
from vae.data.source_files import DataFileError
from vae.data.untrusted_files import open_npz_member

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
    stored = open_npz_member(write_npz(tmp_path / "a.npz", compress=False, imgs=IMAGES), "imgs", np.uint8, (4, 4))
    assert isinstance(stored.mapped(), np.memmap)
    assert np.array_equal(stored.mapped(), IMAGES)
    pack_bits = open_npz_member(write_npz(tmp_path / "b.npz", imgs=IMAGES), "imgs", np.uint8, (4, 4))
    assert pack_bits.offset is None
    assert np.array_equal(np.concatenate(list(pack_bits.blocks(7))), IMAGES)


def test_zip64_headers_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("imgs.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, IMAGES)
    assert np.array_equal(open_npz_member(tmp_path / "a.npz", "imgs", np.uint8, (4, 4)).mapped(), IMAGES)


def test_pickled_members_beside_the_array_are_never_opened(tmp_path):
    path = write_npz(tmp_path / "a.npz", imgs=IMAGES, metadata=np.array({"a": 1}, dtype=object))
    assert open_npz_member(path, "imgs", np.uint8, (4, 4)).shape == (50, 4, 4)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def test_an_array_of_pickled_objects_is_refused_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_members(tmp_path / "a.npz", {"imgs.npy": npy(np.array([Hostile()], dtype=object), allow_pickle=True)})
    with pytest.raises(DataFileError, match=r"imgs .*holds pickled objects"):
        open_npz_member(path, "imgs", np.uint8, (4, 4))
    assert not (tmp_path / "made-by-a-pickle").exists()


def test_the_error_for_a_missing_array_lists_the_others(tmp_path):
    with pytest.raises(DataFileError, match=r"has no array 'imgs' \(it holds images\)"):
        open_npz_member(write_npz(tmp_path / "a.npz", images=IMAGES), "imgs", np.uint8, (4, 4))


@pytest.mark.parametrize("array", [IMAGES.astype(np.float32), IMAGES[:, :3], IMAGES[0], np.asfortranarray(IMAGES)])
def test_an_array_of_another_type_or_shape_is_refused(tmp_path, array):
    with pytest.raises(DataFileError, match="imgs is "):
        open_npz_member(write_npz(tmp_path / "a.npz", imgs=array), "imgs", np.uint8, (4, 4))


def test_a_member_larger_than_its_header_declares_is_refused(tmp_path):
    bomb = write_members(tmp_path / "a.npz", {"imgs.npy": npy(IMAGES) + bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(DataFileError, match="its shape needs"):
        open_npz_member(bomb, "imgs", np.uint8, (4, 4))


def test_a_member_smaller_than_its_header_declares_is_refused(tmp_path):
    header = npy(IMAGES).replace(b"(50, 4, 4)", b"(90, 4, 4)")
    with pytest.raises(DataFileError, match="its shape needs"):
        open_npz_member(write_members(tmp_path / "a.npz", {"imgs.npy": header}), "imgs", np.uint8, (4, 4))


@pytest.mark.parametrize("data", [b"", b"no archive at all", b"PK\x03\x04" + bytes(100)])
def test_a_file_that_is_not_an_archive_is_refused(tmp_path, data):
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    with pytest.raises(DataFileError, match=r"is not an \.npz file or is damaged"):
        open_npz_member(path, "imgs", np.uint8, (4, 4))


def test_a_truncated_file_is_refused(tmp_path):
    path = write_npz(tmp_path / "a.npz", imgs=IMAGES)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataFileError, match="damaged"):
        open_npz_member(path, "imgs", np.uint8, (4, 4))


def test_a_flipped_bit_in_a_compressed_array_is_detected(tmp_path):
    path = write_npz(tmp_path / "a.npz", imgs=IMAGES)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataFileError):
        list(open_npz_member(path, "imgs", np.uint8, (4, 4)).blocks())


def test_a_member_beyond_the_end_is_refused(tmp_path):
    path = write_npz(tmp_path / "a.npz", compress=False, imgs=IMAGES)
    data = bytearray(path.read_bytes())
    name_length = data.find(b"PK\x03\x04") + 26
    data[name_length + 2 : name_length + 4] = struct.pack("<H", 60_000)  # an extra field that is not there
    path.write_bytes(data)
    with pytest.raises(DataFileError):
        open_npz_member(path, "imgs", np.uint8, (4, 4))


FACES = small_info("3dfaces", (2, 3, 2, 2))
FACE_IMAGES = random_images(FACES)


@pytest.mark.parametrize("legacy", [False, True])
def test_both_containers_of_torch_are_read(tmp_path, memory, legacy):
    path = write_faces(tmp_path / "a.pth", FACES, FACE_IMAGES, legacy=legacy)
    data = open_set(FACES, root=path, store=memory, verify=False)
    assert np.array_equal(data.images(np.arange(len(data))), FACE_IMAGES)
    assert data.codes([23]).tolist() == [[1, 2, 1, 1]]


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path, memory, monkeypatch, save):
    monkeypatch.chdir(tmp_path)
    save(Hostile(), tmp_path / "a.pth")
    with pytest.raises(DataFileError, match="nothing in it was executed"):
        open_set(FACES, root=tmp_path / "a.pth", store=memory, verify=False)
    assert not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(3, dtype=torch.uint8), r"holds uint8 of shape \(3,\)"),
        (torch.zeros(2, 3, 2, 2, 64, 64), "holds float32"),
        (torch.zeros(2, 3, 2, 2, 64, 64, dtype=torch.uint8).transpose(-1, -2), "expected contiguous uint8"),
        (torch.zeros(1, dtype=torch.uint8).expand(2, 3, 2, 2, 64, 64), "reaches beyond its storage"),
        (torch.zeros(2, 3, 2, 2, 64, 64, dtype=torch.bfloat16), "holds bfloat16"),
        ({"images": torch.zeros(1)}, "holds a dict"),
    ],
)
def test_another_value_is_refused(tmp_path, memory, value, message):
    torch.save(value, tmp_path / "a.pth")
    with pytest.raises(DataFileError, match=message):
        open_set(FACES, root=tmp_path / "a.pth", store=memory, verify=False)


def test_a_compressed_archive_is_refused(tmp_path, memory):
    plain = write_faces(tmp_path / "plain.pth", FACES, FACE_IMAGES)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(DataFileError, match="zip archive is compressed"):
        open_set(FACES, root=tmp_path / "a.pth", store=memory, verify=False)


@pytest.mark.parametrize("keep", [0, 10, 3000, -200])
def test_a_truncated_torch_file_is_refused(tmp_path, memory, keep):
    path = write_faces(tmp_path / "a.pth", FACES, FACE_IMAGES)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataFileError):
        open_set(FACES, root=path, store=memory, verify=False)


def test_no_other_module_can_execute_the_contents_of_a_file():
    """One trust policy: no module calls an unpickler, and one module opens HDF5 files."""
    unsafe = {"torch.load", "pickle.load", "pickle.loads", "np.load", "h5py.File", "joblib.load"}
    root = Path(untrusted_files.__file__).parents[2]
    found = {
        (path.relative_to(root).as_posix(), ast.unparse(node.func))
        for package in ("ganspace_topdis", "stylegan2", "vae")
        for path in (root / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in unsafe
        if not any(word.arg == "allow_pickle" and ast.unparse(word.value) == "False" for word in node.keywords)
    }
    assert found == {("vae/data/untrusted_files.py", "h5py.File")}
