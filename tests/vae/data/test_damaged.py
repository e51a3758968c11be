import random

import numpy as np
import pytest

from ganspace_topdis.errors import TopdisError
from tests.vae.data.published import (
    jpeg,
    random_images,
    small_info,
    write_cars,
    write_celeba,
    write_dsprites_hdf5,
    write_dsprites_npz,
    write_faces,
    write_npz,
    write_smallnorb,
)
from vae.data.opening import open_set


def small_dsprites_npz(folder):
    info = small_info("dsprites-npz", (3, 2, 1, 1, 2))
    return info, write_dsprites_npz(folder / "a.npz", info, random_images(info))


def small_dsprites_hdf5(folder):
    pytest.importorskip("h5py", reason="h5py is not installed")
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
def test_a_spoiled_file_is_read_or_refused_in_one_line(tmp_path, memory, make):
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
