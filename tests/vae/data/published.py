"""Small files in the published formats, and catalog entries that fit them."""

import dataclasses
import gzip
import io
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from vae.data.catalog import CATALOG

SUMS = ("num_bytes", "sha256", "md5", "git_sha1")


def small_info(name, sizes=(), **changes):
    """The catalog's entry with smaller factors, and files that may have any checksum."""
    info = CATALOG[name]
    factors = tuple(dataclasses.replace(factor, size=size) for factor, size in zip(info.factors, sizes, strict=True))
    files = tuple(dataclasses.replace(file, **dict.fromkeys(SUMS)) for file in info.files)
    return dataclasses.replace(info, factors=factors, files=files, **changes)


def random_images(info, seed=0):
    """Images (N, H, W, C) that fit the row; of 0 and 1 where its pixels are bits."""
    high = 2 if info.bits else 256
    return np.random.default_rng(seed).integers(0, high, (info.num_images, *info.image_shape), np.uint8)


def plausible_images(info, seed=0):
    """Images of a file set without known pixels: a pattern per category, which changes little along the others."""
    rng, images = np.random.default_rng(seed), np.zeros((info.num_images, *info.image_shape), np.uint8)
    for factor, codes in zip(info.factors, grid_codes(info).T, strict=True):
        if factor.kind == "categorical":
            images += rng.integers(0, 80, (factor.size, *info.image_shape), np.uint8)[codes]
        else:
            images += rng.integers(0, 5, info.image_shape, np.uint8) * codes[:, None, None, None].astype(np.uint8)
    return images


def grid_codes(info):
    """Codes (N, K) of the images in order."""
    sizes = [factor.size for factor in info.factors]
    return np.stack([axis.ravel() for axis in np.indices(sizes)], axis=1)


def write_npz(path, *, compress=True, **arrays):
    (np.savez_compressed if compress else np.savez)(path, **arrays)
    return path


def write_dsprites_npz(path, info, images, **changes):
    codes = grid_codes(info)
    classes = np.concatenate([np.zeros((len(codes), 1), np.int64), codes], axis=1)
    metadata = np.array({"author": "someone"}, dtype=object)
    arrays = {"metadata": metadata, "imgs": images[..., 0], "latents_classes": classes, **changes}
    return write_npz(path, **{name: array for name, array in arrays.items() if array is not None})


def write_dsprites_hdf5(path, info, images):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")

    codes = grid_codes(info)
    with h5py.File(path, "w") as file:
        file.create_dataset("imgs", data=images[..., 0], chunks=(4, 2, 4), compression="gzip", shuffle=True)
        file["latents/classes"] = np.concatenate([np.zeros((len(codes), 1), np.int64), codes], axis=1)
    return path


def shapes3d_labels(info):
    """Values that grow with the classes, as the published file holds them."""
    return grid_codes(info) * np.array([0.1, 0.1, 0.1, 0.07, 1.0, 4.3]) + np.array([0, 0, 0, 0.75, 0, -30])


def write_shapes3d(path, info, images, labels=None):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")

    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(2, *images.shape[1:]), compression="gzip")
        file["labels"] = shapes3d_labels(info) if labels is None else labels
    return path


def write_faces(path, info, images, *, legacy=False):
    import torch

    shape = (*(factor.size for factor in info.factors), *info.image_shape[:2])
    torch.save(torch.from_numpy(images.reshape(shape)), path, _use_new_zipfile_serialization=not legacy)
    return path


def jpeg(size=(178, 218), color=(200, 30, 60)):
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def portrait(seed, color=(129, 109, 98)):
    """A made-up picture of CelebA's size and mean color, as JPEG."""
    y, x = np.mgrid[:218, :178] / 30
    wave = 40 * np.sin(y + seed) * np.cos(x * (1 + seed % 5 / 10))
    buffer = io.BytesIO()
    picture = (np.array(color) + wave[..., None]).clip(0, 255).astype(np.uint8)
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write_celeba(path, pictures):
    with zipfile.ZipFile(path, "w") as archive:
        for index, data in enumerate(pictures):
            archive.writestr(f"img_align_celeba/{index + 1:06d}.jpg", data)
    return path


def add_to_tar(archive, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def write_cars(path, cars, order=None):
    """`cars`: arrays (128, 128, 3, azimuths, elevations) by name."""
    from scipy.io import savemat

    with tarfile.open(path, "w:gz") as archive:
        add_to_tar(archive, "data/shapes48.mat", b"passed over")
        for name, array in cars.items():
            buffer = io.BytesIO()
            savemat(buffer, {"im": array, "mask": np.zeros((2, 2), np.uint8)}, do_compression=True)
            add_to_tar(archive, f"data/cars/{name}.mat", buffer.getvalue())
        add_to_tar(archive, "data/cars/list.txt", "\n".join(order or list(cars)).encode())
    return path


def norb_matrix(array):
    """Bytes of one matrix in the NORB format, gzipped."""
    magic = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54}[array.dtype.name]
    sizes = (*array.shape, 1, 1)[: max(3, array.ndim)]
    header = struct.pack(f"<Ii{len(sizes)}i", magic, array.ndim, *sizes)
    return gzip.compress(header + np.ascontiguousarray(array).tobytes(), 1)


def write_smallnorb(folder, info, seed=0, draw=None):
    """The six files, rows in a random order; returns left pictures by (category, elevation, azimuth, lighting, toy).

    `draw` gives the pairs (n, 2, 96, 96) of codes (n, 5); None gives noise.
    """
    rng = np.random.default_rng(seed)
    sizes = [factor.size for factor in info.factors]
    toys = np.arange(info.images_per_combination)
    left = {}
    for part, (dat, cat, labels) in enumerate((info.files[:3], info.files[3:])):
        codes = np.stack([axis.ravel() for axis in np.indices((*sizes, len(toys) // 2))], axis=1)
        codes[:, 4] = codes[:, 4] * 2 + part
        rng.shuffle(codes)
        pairs = rng.integers(0, 256, (len(codes), 2, 96, 96), np.uint8) if draw is None else draw(codes)
        left.update({tuple(code): pair[0] for code, pair in zip(codes.tolist(), pairs, strict=True)})
        described = np.stack([codes[:, 4], codes[:, 1], codes[:, 2] * 2, codes[:, 3]], axis=1).astype("<i4")
        (folder / dat.name).write_bytes(norb_matrix(pairs))
        (folder / cat.name).write_bytes(norb_matrix(codes[:, 0].astype("<i4")))
        (folder / labels.name).write_bytes(norb_matrix(described))
    return left
