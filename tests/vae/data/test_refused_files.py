"""Files of every published format that are damaged, cut, hostile or other files: each is refused in one line."""

import gzip
import random
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from ganspace_topdis.errors import TopdisError
from tests.vae.data.published import (
    add_to_tar,
    jpeg,
    norb_matrix,
    random_images,
    shapes3d_labels,
    small_info,
    write_cars,
    write_celeba,
    write_dsprites_hdf5,
    write_dsprites_npz,
    write_faces,
    write_npz,
    write_shapes3d,
    write_smallnorb,
)
from vae.data.opening import open_set
from vae.data.source_files import DataFileError

SPRITES = small_info("dsprites-npz", (3, 2, 2, 3, 2))
SPRITE_IMAGES = random_images(SPRITES)
SHAPES = small_info("3dshapes", (2, 1, 1, 2, 2, 3))
SHAPE_IMAGES = random_images(SHAPES)
MPI3D = small_info("mpi3d-toy", (6, 6, 1, 1, 1, 2, 2))
CELEBA = small_info("celeba", num_listed=4)
CARS = small_info("cars3d", (2, 3, 2))
NORB = small_info("smallnorb", (2, 3, 2, 2), images_per_combination=4)


def sprites(**changes):
    return lambda folder: (SPRITES, write_dsprites_npz(folder / "a.npz", SPRITES, SPRITE_IMAGES, **changes))


def shapes(images=SHAPE_IMAGES, labels=None):
    return lambda folder: (SHAPES, write_shapes3d(folder / "a.h5", SHAPES, images, labels))


def mpi3d(num_images):
    return lambda folder: (MPI3D, write_npz(folder / "a.npz", images=random_images(MPI3D)[:num_images]))


def celeba(pictures):
    return lambda folder: (CELEBA, write_celeba(folder / "a.zip", pictures))


def celeba_bytes(data):
    def write(folder):
        (folder / "a.zip").write_bytes(data)
        return CELEBA, folder / "a.zip"

    return write


def celeba_bomb(folder):
    path = write_celeba(folder / "a.zip", [jpeg()] * 4)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("img_align_celeba/000005.jpg", bytes(50_000_000))
    return CELEBA, path


def views(value=1):
    return np.full((128, 128, 3, 3, 2), value, np.uint8)


def noise():
    return np.random.default_rng(0).integers(0, 256, (128, 128, 3, 3, 2), np.uint8)


def cars(keep=None, **arrays):
    def write(folder):
        path = write_cars(folder / "a.tar.gz", arrays)
        path.write_bytes(path.read_bytes()[:keep])
        return CARS, path

    return write


def cars_member(data):
    def write(folder):
        with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
            add_to_tar(archive, "data/cars/a.mat", data)
        return CARS, folder / "a.tar.gz"

    return write


def car_bomb():
    """A MATLAB file whose compressed image element is 64 MiB long."""
    inflater = zlib.compressobj(9)
    packed = b"".join(inflater.compress(bytes(1 << 20)) for _ in range(64)) + inflater.flush()
    return b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed


def norb(position, content):
    def write(folder):
        write_smallnorb(folder, NORB)
        (folder / NORB.files[position].name).write_bytes(content)
        return NORB, folder

    return write


@pytest.mark.parametrize(
    ("write", "message"),
    [
        pytest.param(sprites(imgs=None), "has no array 'imgs'", id="dsprites without images"),
        pytest.param(sprites(latents_classes=None), "has no array 'latents_classes'", id="dsprites without classes"),
        pytest.param(
            sprites(imgs=SPRITE_IMAGES[:-1, ..., 0]), "has 71 images, dsprites-npz has 72", id="too few dsprites"
        ),
        pytest.param(
            sprites(imgs=SPRITE_IMAGES[..., 0] * 7), "imgs holds 7, but must hold 0 and 1", id="gray dsprites"
        ),
        pytest.param(sprites(imgs=SPRITE_IMAGES[..., 0].astype(float)), "imgs is float64", id="dsprites as floats"),
        pytest.param(
            sprites(latents_classes=np.zeros((72, 6), np.int64)), "labels of shape are not 3 values", id="other classes"
        ),
        pytest.param(
            shapes(labels=shapes3d_labels(SHAPES)[::-1]), "labels of floor_hue are not", id="3dshapes in another order"
        ),
        pytest.param(shapes(SHAPE_IMAGES[:-1]), "has 23 images, 3dshapes has 24", id="too few 3dshapes"),
        pytest.param(mpi3d(50), "has 50 images, mpi3d-toy has 144", id="too few of mpi3d"),
        pytest.param(
            celeba([jpeg(size=(64, 64))] * 4),
            r"RGB of \(64, 64\) pixels, expected RGB of \(178, 218\)",
            id="small pictures",
        ),
        pytest.param(celeba([b"no picture"] * 4), "000001.jpg is damaged", id="no pictures"),
        pytest.param(celeba([jpeg()[:500]] * 4), "000001.jpg is damaged", id="cut pictures"),
        pytest.param(celeba([jpeg()] * 3), r"has 3 pictures instead of 4, and no img_align_celeba/000004\.jpg", id="3"),
        pytest.param(
            celeba([jpeg()] * 5),
            r"has 5 pictures instead of 4, and img_align_celeba/000005\.jpg, which CelebA does not have",
            id="too many pictures",
        ),
        pytest.param(celeba_bytes(b"nothing"), "is not a zip archive", id="no zip archive"),
        pytest.param(celeba_bomb, "would unpack to 50,000,000 bytes", id="zip bomb"),
        pytest.param(cars(a=views()), "has 1 cars and lists 1, but cars3d has 2", id="too few cars"),
        pytest.param(
            cars(a=views()[:64], b=views()), r"im of a is uint8 of shape \(64, 128, 3, 3, 2\)", id="small cars"
        ),
        pytest.param(cars_member(b"MATLAB 5.0" + bytes(200)), "a is not a MATLAB file or is damaged", id="no MATLAB"),
        pytest.param(cars_member(bytes(33 << 20)), "more than any car", id="huge car"),
        pytest.param(cars_member(car_bomb()), "a unpacks to more than 33,554,432 bytes", id="car bomb"),
        *(
            pytest.param(cars(keep, a=noise(), b=noise()), "a.tar.gz", id=f"cars cut at {keep}")
            for keep in (0, 20, 500)
        ),
        pytest.param(norb(0, b"no gzip"), "is not a gzip file or is damaged", id="no gzip"),
        pytest.param(norb(0, gzip.compress(b"short")), "is not a gzip file or is damaged", id="cut matrix"),
        pytest.param(norb(0, gzip.compress(bytes(64))), "is not a matrix in the NORB format", id="no matrix"),
        pytest.param(
            norb(0, norb_matrix(np.zeros((5, 2, 96, 96), np.uint8))),
            r"expected uint8 of shape \(48, 2, 96, 96\)",
            id="too few toys",
        ),
        pytest.param(norb(1, norb_matrix(np.full(48, 7, "<i4"))), "holds labels outside", id="labels out of range"),
        pytest.param(norb(1, norb_matrix(np.zeros(48, "<i4"))), "list only .* of 96 images", id="one category"),
        pytest.param(norb(2, norb_matrix(np.zeros((48, 3), "<i4"))), "expected int32 labels", id="three labels"),
        pytest.param(norb(2, norb_matrix(np.zeros((47, 4), "<i4"))), "do not belong together", id="47 labels"),
    ],
)
def test_another_or_damaged_file_is_refused(tmp_path, memory, write, message):
    info, root = write(tmp_path)
    with pytest.raises(DataFileError, match=message):
        open_set(info, root=root, store=memory, verify=False).images([0])


def small_dsprites_npz(folder):
    info = small_info("dsprites-npz", (3, 2, 1, 1, 2))
    return info, write_dsprites_npz(folder / "a.npz", info, random_images(info))


def small_dsprites_hdf5(folder):
    info = small_info("dsprites-hdf5", (3, 2, 1, 1, 2))
    return info, write_dsprites_hdf5(folder / "a.hdf5", info, random_images(info))


def small_mpi3d(folder):
    info = small_info("mpi3d-toy", (6, 6, 1, 1, 1, 1, 1))
    return info, write_npz(folder / "a.npz", compress=False, images=random_images(info))


def small_faces(folder):
    info = small_info("3dfaces", (1, 2, 2, 2))
    return info, write_faces(folder / "a.pth", info, random_images(info), legacy=True)


def small_celeba(folder):
    return small_info("celeba", num_listed=3), write_celeba(folder / "a.zip", [jpeg()] * 3)


def small_cars(folder):
    views = np.random.default_rng(0).integers(0, 4, (128, 128, 3, 2, 1), np.uint8)
    return small_info("cars3d", (1, 2, 1)), write_cars(folder / "a.tar.gz", {"a": views})


def small_norb(folder):
    info = small_info("smallnorb", (1, 2, 1, 1), images_per_combination=2)
    write_smallnorb(folder, info)
    return info, folder / info.files[2].name


def spoiled(data, rng):
    """The bytes with a few overwritten, a bit flipped, a number made huge, or the end cut off."""
    copy = bytearray(data)
    ends = rng.choice([(0, min(len(copy), 2000)), (max(0, len(copy) - 2000), len(copy)), (0, len(copy))])
    where, kind = rng.randrange(*ends), rng.randrange(4)
    if kind == 0:
        copy[where] = rng.randrange(256)
    elif kind == 1:
        copy[where] ^= 1 << rng.randrange(8)
    elif kind == 2:
        copy[where : where + 4] = b"\xff\xff\xff\x7f"
    else:
        del copy[where:]
    return bytes(copy)


@pytest.mark.parametrize(
    "make", [small_dsprites_npz, small_dsprites_hdf5, small_mpi3d, small_faces, small_celeba, small_cars, small_norb]
)
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path, memory, make):
    info, path = make(tmp_path)
    root = path.parent if len(info.files) > 1 else path
    data, rng = path.read_bytes(), random.Random(1)
    refusals = []
    for _ in range(40):
        path.write_bytes(spoiled(data, rng))
        try:
            opened = open_set(info, root=root, store=memory, verify=False)
            opened.images(np.arange(len(opened)))
        except TopdisError as error:
            refusals.append(str(error))
    assert len(refusals) > 5
    assert not any("\n" in message for message in refusals)
