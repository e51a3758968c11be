"""CelebA read from its zip archive, without extracting it: 202,599 JPEG files of 178 x 218 pixels.

Two forms are in use: the whole picture squashed to a square (the implementations of TopDis and of FactorVAE that
are public), and the middle 148 pixels, then reduced. There are no factors. Decoding a picture takes about a
millisecond, so that a training wants the store; without one, pictures are decoded when they are asked for.
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ganspace_topdis.errors import TopdisError
from vae.data.array_store import ArrayStore
from vae.data.catalogue import SetInfo
from vae.data.dataset import DataSet, Images, Integers
from vae.data.errors import DataFileError, one_line
from vae.data.pictures import centre_crop
from vae.data.stored import StoredSet
from vae.data.sums import fingerprint_of

__all__ = ["ZippedSet", "read_crop", "read_squash"]

PICTURE_SIZE = (178, 218)
CROP_SIDE = 148
_FOLDER = "img_align_celeba"
_MAX_PICTURE_BYTES = 1 << 20
_BLOCK = 512


class ZippedSet(DataSet):
    """Pictures decoded from the archive when they are asked for.

    Args:
        info: the set.
        path: the archive, which stays open.
        crop: whether to cut the pictures to their middle first.
    """

    def __init__(self, info: SetInfo, path: Path, *, crop: bool) -> None:
        super().__init__(
            name=info.name,
            factors=(),
            image_shape=info.image_shape,
            num_images=info.num_images,
            fingerprint=f"{info.name}:{fingerprint_of(path)}",
        )
        self._path, self._crop = path, crop
        self._archive = _open(path, info.num_images)

    def _read(self, indices: Integers) -> Images:
        return np.stack([self._picture(int(index)) for index in indices])

    def blocks(self) -> Iterator[Images]:
        """All pictures in order, in pieces."""
        for start in range(0, len(self), _BLOCK):
            yield self._read(np.arange(start, min(len(self), start + _BLOCK)))

    def _picture(self, index: int) -> Images:
        name = _name(index)
        try:
            with Image.open(io.BytesIO(self._archive.read(name)), formats=["JPEG"]) as picture:
                if picture.size != PICTURE_SIZE or picture.mode != "RGB":
                    raise DataFileError(
                        f"{self._path}: {name} is {picture.mode} of {picture.size} pixels, expected is RGB of "
                        f"{PICTURE_SIZE}; give the aligned and cropped pictures"
                    )
                whole = centre_crop(picture, CROP_SIDE) if self._crop else picture
                height, width, _ = self.image_shape
                return np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR))
        except TopdisError:
            raise
        except Exception as error:  # zipfile and Pillow raise half a dozen kinds for damaged files
            raise DataFileError(f"{self._path}: {name} is damaged ({one_line(error)}); fetch it again") from error


def read_squash(info: SetInfo, files: tuple[Path, ...], store: ArrayStore) -> DataSet:
    """CelebA, pictures squashed to a square.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    return _read(info, files, store, crop=False)


def read_crop(info: SetInfo, files: tuple[Path, ...], store: ArrayStore) -> DataSet:
    """CelebA, the middle of each picture.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    return _read(info, files, store, crop=True)


def _read(info: SetInfo, files: tuple[Path, ...], store: ArrayStore, *, crop: bool) -> DataSet:
    (path,) = files
    if store.folder is None:
        return ZippedSet(info, path, crop=crop)
    source = fingerprint_of(path)
    array = store.array(source, info, lambda: ZippedSet(info, path, crop=crop).blocks())
    return StoredSet(info, array, source=source)


def _name(index: int) -> str:
    return f"{_FOLDER}/{index + 1:06d}.jpg"


def _open(path: Path, num_pictures: int) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises half a dozen kinds for damaged archives
        raise DataFileError(f"{path} is no zip archive or is damaged ({one_line(error)}); fetch it again") from error
    sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    for index in (0, num_pictures - 1):
        if _name(index) not in sizes:
            archive.close()
            raise DataFileError(f"{path} has no {_name(index)}; give the published img_align_celeba.zip")
    if max(sizes.values()) > _MAX_PICTURE_BYTES:
        archive.close()
        raise DataFileError(
            f"{path} has a member that would unpack to {max(sizes.values()):,} bytes, which no picture of it takes; "
            "it is refused"
        )
    return archive
