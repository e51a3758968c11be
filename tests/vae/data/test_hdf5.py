import sys

import numpy as np
import pytest

from ganspace_topdis.errors import MissingDependencyError
from vae.data.source_files import DataFileError
from vae.data.untrusted_files import hdf5_blocks, open_hdf5_dataset

h5py = pytest.importorskip("h5py", reason="h5py is not installed")
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 4, 4), np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


def read(path, name="images"):
    with open_hdf5_dataset(path, name, (np.uint8,), (4, 4)) as dataset:
        return np.concatenate(list(hdf5_blocks(dataset, 100)))


def test_a_chunked_dataset_is_read_in_pieces(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=IMAGES, chunks=(7, 2, 4), compression="gzip", shuffle=True, fletcher32=True)
    assert np.array_equal(read(path), IMAGES)


def test_a_dataset_in_a_group_is_found(path):
    with h5py.File(path, "w") as file:
        file["latents/images"] = IMAGES
    assert np.array_equal(read(path, "latents/images"), IMAGES)


@pytest.mark.parametrize("link", ["external", "soft", "group"])
def test_links_to_elsewhere_are_not_followed(path, tmp_path, link):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = IMAGES
    with h5py.File(path, "w") as file:
        file["here"] = IMAGES
        file["images"] = {
            "external": h5py.ExternalLink("other.h5", "/images"),
            "soft": h5py.SoftLink("/here"),
            "group": h5py.ExternalLink("other.h5", "/"),
        }[link]
    with pytest.raises(DataFileError, match="images is a link to elsewhere, which is not followed"):
        read(path, "images/images" if link == "group" else "images")


def test_a_virtual_dataset_is_refused(path, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = IMAGES
    layout = h5py.VirtualLayout((30, 4, 4), np.uint8)
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "images", (30, 4, 4))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("images", layout)
    with pytest.raises(DataFileError, match="the values of images are in other files"):
        read(path)


def test_external_storage_is_refused(path, tmp_path):
    (tmp_path / "raw").write_bytes(bytes(480))
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (30, 4, 4), np.uint8, external=[(str(tmp_path / "raw"), 0, 480)])
    with pytest.raises(DataFileError, match="the values of images are in other files"):
        read(path)


def test_huge_chunks_are_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (1 << 23, 4, 4), np.uint8, chunks=(1 << 23, 4, 4))
    with pytest.raises(DataFileError, match="chunks of more than"):
        read(path)


def test_filters_that_load_a_plug_in_are_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=IMAGES, compression="lzf")
    with pytest.raises(DataFileError, match="HDF5 filter 32000, which would load a plug-in"):
        read(path)


@pytest.mark.parametrize("array", [IMAGES.astype(np.float32), IMAGES[:, :3], IMAGES[0, 0]])
def test_a_dataset_of_another_type_or_shape_is_refused(path, array):
    with h5py.File(path, "w") as file:
        file["images"] = array
    with pytest.raises(DataFileError, match=r"expected uint8 \(N, 4, 4\)"):
        read(path)


def test_a_missing_dataset_is_named_with_what_is_there(path):
    with h5py.File(path, "w") as file:
        file["imgs"] = IMAGES
    for name in ("images", "imgs/images"):
        with pytest.raises(DataFileError, match=rf"has no dataset '{name}' \(it holds imgs\)"):
            read(path, name)


def test_a_group_is_no_dataset(path):
    with h5py.File(path, "w") as file:
        file.create_group("images")
    with pytest.raises(DataFileError, match="images is not a dataset"):
        read(path)


@pytest.mark.parametrize("data", [b"", b"no hdf5", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_a_file_that_is_no_hdf5_is_refused(path, data):
    path.write_bytes(data)
    with pytest.raises(DataFileError, match="is not an HDF5 file or is damaged"):
        read(path)


def test_without_h5py_the_extra_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"topdis-gan\[data\]"):
        read(path)
