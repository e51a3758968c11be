"""CelebA, read from its zip archive without extracting it: 202,599 JPEG files of 178 x 218 pixels, no factors.

Two versions are in use: the whole picture squashed to a square (public implementations of TopDis and FactorVAE), and a
center crop of 148 pixels, then resized. Decoding a picture takes about a millisecond, so training should use the
cache; without it, pictures are decoded on demand.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.runs.reading import reason_of
from vae.data.array_dataset import ArrayDataSet, ArrayStore
from vae.data.catalog import DataSetInfo
from vae.data.dataset import DataSet, Images, Integers
from vae.data.source_files import DataFileError, file_fingerprint

__all__ = ["ZippedDataSet", "center_crop", "read_crop", "read_pictures", "read_squash"]

PICTURE_SIZE = (178, 218)
CROP_SIDE = 148
_FOLDER = "img_align_celeba"
_PICTURE = re.compile(rf"{_FOLDER}/.*\.jpg")
_MAX_PICTURE_BYTES = 1 << 20
_BLOCK = 512


class ZippedDataSet(DataSet):
    """Pictures decoded from the archive on demand.

    Args:
        info: the data set.
        path: the archive, which stays open.
        crop: whether the pictures are center-cropped first.
    """

    def __init__(self, info: DataSetInfo, path: Path, *, crop: bool) -> None:
        super().__init__(
            name=info.name,
            factors=(),
            image_shape=info.image_shape,
            num_images=info.num_images,
            fingerprint=f"{info.name}:{file_fingerprint(path)}",
        )
        self._path, self._crop = path, crop
        self._archive = _open(path, info.num_images)

    def _read(self, indices: Integers) -> Images:
        return np.stack([self._picture(int(index)) for index in indices])

    def blocks(self) -> Iterator[Images]:
        """Yield all pictures in order, in blocks."""
        for start in range(0, len(self), _BLOCK):
            yield self._read(np.arange(start, min(len(self), start + _BLOCK)))

    def _picture(self, index: int) -> Images:
        picture = _decode(self._path, self._archive, index)
        whole = center_crop(picture, CROP_SIDE) if self._crop else picture
        height, width, _ = self.image_shape
        return np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR))


def read_pictures(path: Path, num_pictures: int, indices: Integers) -> Images:
    """Return whole pictures (n, 218, 178, 3) of an archive of `num_pictures`.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    with _open(path, num_pictures) as archive:
        return np.stack([np.asarray(_decode(path, archive, int(index))) for index in indices])


def read_squash(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> DataSet:
    """Read CelebA, with pictures squashed to a square.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    return _read(info, files, store, crop=False)


def read_crop(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> DataSet:
    """Read CelebA, with pictures center-cropped.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    return _read(info, files, store, crop=True)


def _read(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore, *, crop: bool) -> DataSet:
    (path,) = files
    if store.folder is None:
        return ZippedDataSet(info, path, crop=crop)
    source = file_fingerprint(path)
    array = store.array(source, info, lambda: ZippedDataSet(info, path, crop=crop).blocks())
    return ArrayDataSet(info, array, source=source)


def _name(index: int) -> str:
    return f"{_FOLDER}/{index + 1:06d}.jpg"


def _decode(path: Path, archive: zipfile.ZipFile, index: int) -> Image.Image:
    name = _name(index)
    try:
        with Image.open(io.BytesIO(archive.read(name)), formats=["JPEG"]) as picture:
            if picture.size != PICTURE_SIZE or picture.mode != "RGB":
                raise DataFileError(
                    f"{path}: {name} is {picture.mode} of {picture.size} pixels, expected RGB of {PICTURE_SIZE}; give "
                    "the aligned and cropped pictures"
                )
            picture.load()
            return picture.copy()
    except TopdisError:
        raise
    except Exception as error:  # zipfile and Pillow raise many types for damaged files
        raise DataFileError(f"{path}: {name} is damaged ({reason_of(error)}); fetch it again") from error


def _open(path: Path, num_pictures: int) -> zipfile.ZipFile:
    """Open an archive with pictures of exactly the published names; it may hold other files beside them."""
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises many types for damaged archives
        raise DataFileError(
            f"{path} is not a zip archive or is damaged ({reason_of(error)}); fetch it again"
        ) from error
    sizes = {entry.filename: entry.file_size for entry in archive.infolist() if _PICTURE.fullmatch(entry.filename)}
    difference = _names_error(sizes, num_pictures)
    if difference is not None:
        archive.close()
        raise DataFileError(f"{path} has {difference}; give the published img_align_celeba.zip")
    return archive


def _names_error(sizes: dict[str, int], num_pictures: int) -> str | None:
    """Return how pictures, given by name with their number of bytes, differ from those of CelebA."""
    largest = max(sizes.values(), default=0)
    if largest > _MAX_PICTURE_BYTES:
        return f"a member that would unpack to {largest:,} bytes, more than any of its pictures"
    expected = {_name(index) for index in range(num_pictures)}
    found = f"{len(sizes):,} pictures instead of {num_pictures:,}"
    if missing := expected - sizes.keys():
        return f"{found}, and no {min(missing)}"
    if others := sizes.keys() - expected:
        return f"{found}, and {min(others)}, which CelebA does not have"
    return None


def center_crop(image: Image.Image, side: int) -> Image.Image:
    """Crop the center `side` x `side` pixels."""
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))
