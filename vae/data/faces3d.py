"""3D Faces from `basel_face_renders.pth`: a tensor (50, 21, 11, 11, 64, 64) of bytes, saved by torch.

The file is a pickle inside. It is read by torch's restricted unpickler, which makes tensors and nothing else; a
compressed archive is refused before, so that a small file cannot become a large one.
"""

import io
import pickle
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from ganspace_topdis.errors import TopdisError
from vae.data.array_store import ArrayStore
from vae.data.catalogue import SetInfo
from vae.data.errors import DataFileError
from vae.data.stored import StoredSet
from vae.data.sums import fingerprint_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read"]

_MAX_PICKLE_BYTES = 4096
_LEGACY_PICKLES = 5
"""A magic number, a version, facts about the machine, the tensor, and the keys of its storages."""


def read(info: SetInfo, files: tuple[Path, ...], store: ArrayStore) -> StoredSet:
    """3D Faces, mapped from the file where its container allows, else in memory.

    Raises:
        DataFileError: it is another file, a damaged or a hostile one.
    """
    import torch

    (path,) = files
    tensor = _tensor(path)
    shape = (*(factor.size for factor in info.factors), *info.image_shape[:2])
    if tensor.dtype != torch.uint8 or tuple(tensor.shape) != shape or not tensor.is_contiguous():
        raise DataFileError(
            f"{path} holds {tensor.dtype} of shape {tuple(tensor.shape)}, expected is torch.uint8 of shape {shape}; "
            "give the published file"
        )
    array = tensor.numpy().reshape(info.num_images, *info.image_shape)
    return StoredSet(info, array, source=fingerprint_of(path))


def _tensor(path: Path) -> "Tensor":
    import torch

    zipped = zipfile.is_zipfile(path)
    try:
        _refuse_large_pickles(path, zipped=zipped)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch deprecates the storages that old files hold
            value = torch.load(path, map_location="cpu", weights_only=True, mmap=True if zipped else None)
    except pickle.UnpicklingError as error:
        raise DataFileError(
            f"{path} holds something else than a tensor, or is damaged; nothing of it was run; give the published file"
        ) from error
    except TopdisError:
        raise
    except Exception as error:  # torch and zipfile raise half a dozen kinds for damaged files
        raise DataFileError(f"{path} is no file of torch.save or is damaged; get it again") from error
    if not isinstance(value, torch.Tensor):
        raise DataFileError(f"{path} holds a {type(value).__name__}, expected is one tensor; give the published file")
    return value


def _refuse_large_pickles(path: Path, *, zipped: bool) -> None:
    """A tensor is described in a few hundred bytes, however large it is; more of them can ask for any memory."""
    if not zipped:
        with path.open("rb") as file:
            head = io.BytesIO(file.read(_MAX_PICKLE_BYTES))
        try:
            for _ in range(_LEGACY_PICKLES):
                for _ in pickletools.genops(head):
                    pass
        except ValueError as error:
            raise pickle.UnpicklingError("no five small pickles") from error
        return
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise DataFileError(f"{path} is a compressed archive, which torch.save does not write; unpack it first")
            if entry.filename.endswith(".pkl") and entry.file_size > _MAX_PICKLE_BYTES:
                raise DataFileError(f"{path} describes more than one tensor; give the published file")
