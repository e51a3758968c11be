"""Readers of published files: grids, HDF5, and sets of pictures."""

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError
from tests.vae.data.published import (
    grid_codes,
    jpeg,
    norb_matrix,
    random_images,
    small_info,
    write_cars,
    write_celeba,
    write_dsprites_hdf5,
    write_dsprites_npz,
    write_npz,
    write_shapes3d,
    write_smallnorb,
)
from vae.data.grid_readers import require_grid_order, require_length
from vae.data.opening import open_set
from vae.data.source_files import DataFileError
from vae.data.untrusted_files import hdf5_blocks, open_hdf5_dataset

ORDERED = small_info("3dfaces", (2, 3, 1, 2))
PATH = Path("file")


def test_classes_and_values_that_grow_with_them_are_in_order():
    require_grid_order(PATH, ORDERED, grid_codes(ORDERED))
    require_grid_order(PATH, ORDERED, grid_codes(ORDERED) * 0.25 - 3)


@pytest.mark.parametrize("change", ["swap", "columns", "fewer"])
def test_any_other_order_is_refused(change):
    labels = grid_codes(ORDERED)
    if change == "swap":
        labels[[3, 4]] = labels[[4, 3]]
    labels = {"swap": labels, "columns": labels[:, ::-1], "fewer": np.minimum(labels, [1, 1, 1, 1])}[change]
    with pytest.raises(DataFileError, match="are not"):
        require_grid_order(PATH, ORDERED, labels)


def test_the_number_of_images_must_be_the_sets():
    require_length(PATH, ORDERED, 12)
    with pytest.raises(DataFileError, match="file has 11 images, 3dfaces has 12"):
        require_length(PATH, ORDERED, 11)


SIZES = (3, 2, 2, 3, 2)
NPZ, HDF5 = small_info("dsprites-npz", SIZES), small_info("dsprites-hdf5", SIZES)
SPRITES = random_images(NPZ)


def test_the_npz_gives_its_images_in_order(tmp_path, store):
    path = write_dsprites_npz(tmp_path / "a.npz", NPZ, SPRITES)
    data = open_set(NPZ, root=path, store=store, verify=False)
    assert np.array_equal(data.images(np.arange(len(data))), 255 * SPRITES)
    assert np.array_equal(data.codes(np.arange(len(data))), grid_codes(NPZ))
    assert data.image_shape == (64, 64, 1)


def test_the_hdf5_gives_the_same(tmp_path, store):
    data = open_set(HDF5, root=write_dsprites_hdf5(tmp_path / "a.hdf5", HDF5, SPRITES), store=store, verify=False)
    assert np.array_equal(data.images(np.arange(len(data))), 255 * SPRITES)


def test_the_fingerprint_follows_the_file(tmp_path, memory):
    path = write_dsprites_npz(tmp_path / "a.npz", NPZ, SPRITES)
    first, again = (open_set(NPZ, root=path, store=memory, verify=False).fingerprint for _ in range(2))
    other = write_dsprites_npz(tmp_path / "b.npz", NPZ, 1 - SPRITES)
    assert first == again
    assert open_set(NPZ, root=other, store=memory, verify=False).fingerprint != first


SHAPES = small_info("3dshapes", (2, 1, 1, 2, 2, 3))
SHAPE_IMAGES = random_images(SHAPES)


def test_images_come_in_the_order_of_the_labels_values(tmp_path, store):
    data = open_set(
        SHAPES, root=write_shapes3d(tmp_path / "3dshapes.h5", SHAPES, SHAPE_IMAGES), store=store, verify=False
    )
    assert np.array_equal(data.images(np.arange(len(data))), SHAPE_IMAGES)
    assert np.array_equal(data.codes(np.arange(len(data))), grid_codes(SHAPES))


MPI3D = small_info("mpi3d-toy", (6, 6, 1, 1, 1, 2, 2))
MPI3D_IMAGES = random_images(MPI3D)


@pytest.mark.parametrize("compress", [False, True])
def test_images_come_in_the_files_order(tmp_path, store, compress):
    path = write_npz(tmp_path / "mpi3d_toy.npz", compress=compress, images=MPI3D_IMAGES)
    data = open_set(MPI3D, root=tmp_path, store=store, verify=False)
    assert path.exists()
    assert np.array_equal(data.images(np.arange(len(data))), MPI3D_IMAGES)
    assert data.codes([5]).tolist() == [[0, 1, 0, 0, 0, 0, 1]]


def test_an_archive_that_is_not_compressed_is_mapped_and_not_copied(tmp_path, store):
    write_npz(tmp_path / "mpi3d_toy.npz", compress=False, images=MPI3D_IMAGES)
    array = open_set(MPI3D, root=tmp_path, store=store, verify=False).array
    assert isinstance(array, np.memmap)
    assert store.folder is None or not store.folder.exists()


def test_the_earlier_release_with_four_colors_and_shapes_is_recognized(tmp_path, memory):
    write_npz(tmp_path / "mpi3d_toy.npz", images=MPI3D_IMAGES[: 4 * 4 * 4])
    data = open_set(MPI3D, root=tmp_path, store=memory, verify=False)
    assert data.factor_sizes == (4, 4, 1, 1, 1, 2, 2)


def test_the_set_of_complex_shapes_is_read_alike(tmp_path, memory):
    info = small_info("mpi3d-complex", (4, 4, 1, 1, 1, 2, 2))
    images = random_images(info)
    write_npz(tmp_path / "real3d_complicated_shapes_ordered.npz", images=images)
    assert np.array_equal(open_set(info, root=tmp_path, store=memory, verify=False).images(np.arange(64)), images)


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


SQUASH, CROP = (small_info(name, num_listed=4) for name in ("celeba", "celeba-crop"))
COLORS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (120, 120, 120)]


@pytest.fixture
def celeba_zip(tmp_path):
    return write_celeba(tmp_path / "img_align_celeba.zip", [jpeg(color=color) for color in COLORS])


@pytest.mark.parametrize("info", [SQUASH, CROP])
def test_celeba_pictures_come_in_the_order_of_their_names(celeba_zip, store, info):
    data = open_set(info, root=celeba_zip, store=store, verify=False)
    assert len(data) == 4
    assert data.images([0, 1, 2, 3]).shape == (4, 64, 64, 3)
    assert np.abs(data.images([3, 1])[:, 30, 30].astype(int) - [COLORS[3], COLORS[1]]).max() <= 4


def test_the_squash_keeps_the_edges_and_the_crop_leaves_them_out(tmp_path, memory):
    picture = Image.new("RGB", (178, 218), (0, 0, 0))
    ImageDraw.Draw(picture).rectangle((15, 35, 162, 182), fill=(255, 255, 255))
    picture.save(tmp_path / "a.jpg", quality=100)
    celeba_zip = write_celeba(tmp_path / "a.zip", [(tmp_path / "a.jpg").read_bytes()] * 4)
    squashed, cropped = (
        open_set(info, root=celeba_zip, store=memory, verify=False).images([0])[0] for info in (SQUASH, CROP)
    )
    assert cropped.min() > 200
    assert squashed[0].max() < 50
    assert squashed[32, 32].min() > 200


def test_celeba_has_no_factors(celeba_zip, memory):
    data = open_set(SQUASH, root=celeba_zip, store=memory, verify=False)
    assert data.factors == ()
    with pytest.raises(InvalidArgumentError, match="celeba has no known factors"):
        data.codes([0])


CARS3D = small_info("cars3d", (2, 3, 2))


def car(value):
    """Every view of a car is filled with one number: value + 10 azimuth + elevation."""
    views = value + 10 * np.arange(3)[:, None] + np.arange(2)
    return np.broadcast_to(views, (128, 128, 3, 3, 2)).astype(np.uint8)


CARS = {"car_001_mesh": car(100), "car_002_mesh": car(200)}


def test_views_come_in_the_order_elevation_azimuth_car_of_the_list(tmp_path, store):
    path = write_cars(tmp_path / "a.tar.gz", CARS, order=["car_002_mesh", "car_001_mesh"])
    data = open_set(CARS3D, root=path, store=store, verify=False)
    values = [
        value + 10 * azimuth + elevation for elevation in range(2) for azimuth in range(3) for value in (200, 100)
    ]
    images = data.images(np.arange(12))
    assert images.shape == (12, 64, 64, 3)
    assert images[:, 5, 5, 0].tolist() == values


def test_car_pictures_are_halved(tmp_path, memory):
    views = np.zeros((128, 128, 3, 3, 2), np.uint8)
    views[:64] = 255
    data = open_set(
        CARS3D, root=write_cars(tmp_path / "a.tar.gz", {"a": views, "b": views}), store=memory, verify=False
    )
    rows = data.images([0])[0, :, 0, 0]
    assert (rows[:30] > 250).all()
    assert (rows[34:] < 5).all()


NORB = small_info("smallnorb", (2, 3, 2, 2), images_per_combination=4)


def test_stored_pictures_are_read_again_when_their_labels_change(tmp_path, store):
    write_smallnorb(tmp_path, NORB)
    before = open_set(NORB, root=tmp_path, store=store, verify=False)
    kept = before.images([0]).copy()
    for labels in (tmp_path / NORB.files[2].name, tmp_path / NORB.files[5].name):
        rows = np.frombuffer(gzip.decompress(labels.read_bytes())[20:], "<i4").reshape(-1, 4).copy()
        rows[:, 2] = 2 - rows[:, 2]  # azimuths 0 and 2 change places
        labels.write_bytes(norb_matrix(rows))
    after = open_set(NORB, root=tmp_path, store=store, verify=False)
    assert after.fingerprint != before.fingerprint
    assert not np.array_equal(after.images([0]), kept)


def test_left_pictures_come_in_the_order_of_the_grid_with_the_toys_last(tmp_path, store):
    left = write_smallnorb(tmp_path, NORB)
    data = open_set(NORB, root=tmp_path, store=store, verify=False)
    assert len(data) == 2 * 3 * 2 * 2 * 4
    assert data.images_per_combination == 4
    images = data.images(np.arange(len(data)))
    for index, code in enumerate(np.ndindex(2, 3, 2, 2, 4)):
        reduced = Image.fromarray(left[code]).resize((64, 64), Image.Resampling.LANCZOS)
        assert np.array_equal(images[index, ..., 0], np.asarray(reduced))
        assert data.codes([index])[0].tolist() == list(code[:4])
