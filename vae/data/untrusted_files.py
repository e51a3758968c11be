"""Arrays in files from strangers: .npz, HDF5 and torch.save. One policy for all of them:

* Nothing in a file is executed: no pickle but torch's restricted one (`weights_only=True`, which builds tensors and
  nothing else), no HDF5 filter plug-ins.
* Only the file itself is read: no external or soft links, external storage or virtual datasets.
* Type and shape must be exactly those that the caller expects, and are checked before any data is read; no more bytes
  than these are ever inflated, and compressed torch files, which torch.save does not write, are refused.

An .npz file is a zip archive of .npy files: only the requested member is opened, memory-mapped if it is stored, and
streamed if it is compressed.
"""

import io
import math
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ganspace_topdis.errors import MissingDependencyError, TopdisError
from ganspace_topdis.runs.archives import map_file, member_sizes, open_archive, read_npy_header, stored_member
from ganspace_topdis.runs.reading import ReadingError, parsing, reason_of
from vae.data.source_files import DataFileError

if TYPE_CHECKING:
    import h5py

__all__ = ["NpzMember", "hdf5_blocks", "load_tensor", "open_hdf5_dataset", "open_npz_member"]

_MAX_MEMBERS = 1000
_MAX_PICKLE_BYTES = 4096
_LEGACY_PICKLES = 5  # magic number, version, the machine, the tensor, the keys of its storages
_MAX_CHUNK_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 20
_HDF5_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32"}


@dataclass(frozen=True)
class NpzMember:
    """One validated array of an .npz file.

    Attributes:
        path: the archive.
        key: name of the array, without ".npy".
        dtype, shape: as declared in its header.
        offset: position of its first value in the file if it is stored uncompressed; None otherwise.
    """

    path: Path
    key: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int | None

    def mapped(self) -> npt.NDArray:
        """Memory-map the whole array. Only for members with an offset."""
        assert self.offset is not None, self
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)

    def blocks(self, num_rows: int = 1024) -> Iterator[npt.NDArray]:
        """Yield the array in blocks of `num_rows` rows, inflated as it is read.

        Raises:
            DataFileError: the archive is damaged or truncated.
        """
        row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        with (
            _reading_npz(self.path),
            open_archive(map_file(self.path)) as archive,
            archive.open(f"{self.key}.npy") as file,
        ):
            read_npy_header(file)
            for start in range(0, self.shape[0], num_rows):
                rows = min(num_rows, self.shape[0] - start)
                data = _read_exactly(file, rows * row_bytes)
                yield np.frombuffer(data, self.dtype).reshape(rows, *self.shape[1:])
            file.read(1)  # reading past the end makes zipfile compare the checksum


def open_npz_member(path: Path, key: str, dtype: npt.DTypeLike, row_shape: tuple[int, ...]) -> NpzMember:
    """Find the array `key` in an .npz file; its first axis may have any length.

    Raises:
        DataFileError: the file is not an .npz, or lacks such an array of the expected type and shape.
    """
    with _reading_npz(path):
        data = map_file(path)
        with open_archive(data) as archive:
            info = _find_member(archive, path, key)
            member, header_bytes = _read_header(archive, info, path, key)
            _check_type(member, np.dtype(dtype), row_shape)
            num_bytes = header_bytes + member.dtype.itemsize * math.prod(member.shape)
            if info.file_size != num_bytes:
                raise DataFileError(
                    f"{path}: {key} declares {info.file_size:,} bytes, but its shape needs {num_bytes:,}; "
                    "fetch it again"
                )
            if info.compress_type == zipfile.ZIP_STORED:
                return replace(member, offset=stored_member(data, info)[0] + header_bytes)
            return member


@contextmanager
def _reading_npz(path: Path) -> Iterator[None]:
    try:
        with parsing():
            yield
    except ReadingError as error:
        raise DataFileError(f"{path} is not an .npz file or is damaged ({error}); fetch it again") from error


def _find_member(archive: zipfile.ZipFile, path: Path, key: str) -> zipfile.ZipInfo:
    names = list(member_sizes(archive))
    if len(names) > _MAX_MEMBERS:
        raise DataFileError(f"{path} has {len(names)} members, more than any such data set; give another file")
    info = archive.NameToInfo.get(f"{key}.npy")
    if info is None:
        held = ", ".join(names[:8]) or "nothing"
        raise DataFileError(f"{path} has no array {key!r} (it holds {held}); give the published file")
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataFileError(f"{path}: {key} is encrypted or compressed in an unknown way; give the published file")
    return info


def _read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, key: str) -> tuple[NpzMember, int]:
    """Return the member as its header declares it, and the length of the header in bytes."""
    with archive.open(info) as file:
        try:
            dtype, shape, fortran, header_bytes = read_npy_header(file)
        except ReadingError as error:
            raise DataFileError(f"{path}: {key} cannot be read ({error}); give the published file") from error
    if fortran and len(shape) > 1:
        raise DataFileError(f"{path}: {key} is stored in column-major order; give the published file")
    return NpzMember(path, key, dtype, shape, None), header_bytes


def _check_type(member: NpzMember, dtype: np.dtype, row_shape: tuple[int, ...]) -> None:
    if member.dtype != dtype or len(member.shape) != 1 + len(row_shape) or member.shape[1:] != row_shape:
        expected = ", ".join(map(str, ("N", *row_shape)))
        raise DataFileError(
            f"{member.path}: {member.key} is {member.dtype} of shape {member.shape}, expected {dtype} ({expected}); "
            "give the published file"
        )


def _read_exactly(file: IO[bytes], num_bytes: int) -> bytearray:
    """Read `num_bytes` in small blocks, which `open_archive` allows."""
    data = bytearray()
    while len(data) < num_bytes:
        block = file.read(min(_BLOCK_BYTES, num_bytes - len(data)))
        if not block:
            raise ReadingError("an array ends too early")
        data += block
    return data


@contextmanager
def open_hdf5_dataset(
    path: Path, name: str, dtypes: tuple[npt.DTypeLike, ...], row_shape: tuple[int, ...]
) -> Iterator["h5py.Dataset"]:
    """Open the dataset `name` ("images", "latents/classes") of an HDF5 file; its first axis may have any length.

    Raises:
        DataFileError: the file is not HDF5, or lacks such a dataset of an expected type and shape within itself.
        MissingDependencyError: h5py is not installed.
    """
    h5py = _import_h5py()
    try:
        with h5py.File(path, "r") as file:
            dataset = _follow_hard_links(h5py, file, path, name)
            _check_dataset(dataset, path, dtypes, row_shape)
            yield dataset
    except TopdisError:
        raise
    except Exception as error:  # h5py raises many types for damaged files
        raise DataFileError(f"{path} is not an HDF5 file or is damaged ({reason_of(error)}); fetch it again") from error


def hdf5_blocks(dataset: "h5py.Dataset", num_bytes: int = 256 << 20) -> Iterator[npt.NDArray]:
    """Yield the dataset in blocks of whole chunks along its first axis, of about `num_bytes` each."""
    row_bytes = max(1, dataset.dtype.itemsize * math.prod(dataset.shape[1:]))
    step = dataset.chunks[0] if dataset.chunks else 1
    num_rows = max(1, num_bytes // (row_bytes * step)) * step
    for start in range(0, dataset.shape[0], num_rows):
        yield dataset[start : start + num_rows]


def _import_h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(
            "reading HDF5 files needs h5py; install it with `pip install 'topdis-gan[data]'`"
        ) from error
    return h5py


def _follow_hard_links(h5py: Any, file: "h5py.File", path: Path, name: str) -> "h5py.Dataset":
    node = file
    parts = name.split("/")
    for k, part in enumerate(parts):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            held = ", ".join(sorted(file)[:8]) or "nothing"
            raise DataFileError(f"{path} has no dataset {name!r} (it holds {held}); give the published file")
        if not isinstance(link, h5py.HardLink):
            raise DataFileError(
                f"{path}: {'/'.join(parts[: k + 1])} is a link to elsewhere, which is not followed; "
                "give the published file"
            )
        node = node[part]
    if not isinstance(node, h5py.Dataset):
        raise DataFileError(f"{path}: {name} is not a dataset; give the published file")
    return node


def _check_dataset(
    dataset: "h5py.Dataset", path: Path, dtypes: tuple[npt.DTypeLike, ...], row_shape: tuple[int, ...]
) -> None:
    name = dataset.name.lstrip("/")
    if dataset.is_virtual or dataset.external:
        raise DataFileError(f"{path}: the values of {name} are in other files; give the published file")
    if dataset.dtype not in [np.dtype(dtype) for dtype in dtypes] or dataset.shape[1:] != row_shape:
        allowed = " or ".join(str(np.dtype(dtype)) for dtype in dtypes)
        expected = ", ".join(map(str, ("N", *row_shape)))
        raise DataFileError(
            f"{path}: {name} is {dataset.dtype} of shape {dataset.shape}, expected {allowed} ({expected}); "
            "give the published file"
        )
    if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > _MAX_CHUNK_BYTES:
        raise DataFileError(
            f"{path}: {name} has chunks of more than {_MAX_CHUNK_BYTES:,} bytes; give the published file"
        )
    properties = dataset.id.get_create_plist()
    for k in range(properties.get_nfilters()):
        number = properties.get_filter(k)[0]
        if number not in _HDF5_FILTERS:
            raise DataFileError(
                f"{path}: {name} is compressed with HDF5 filter {number}, which would load a plug-in; "
                f"allowed are {', '.join(_HDF5_FILTERS.values())}; give the published file"
            )


def load_tensor(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray:
    """Load the only tensor in a file of torch.save, memory-mapped if it is a zip archive.

    Raises:
        DataFileError: the file holds anything but one contiguous tensor of this type and shape.
    """
    import torch

    value = _load_weights_only(path)
    if not isinstance(value, torch.Tensor):
        raise DataFileError(f"{path} holds a {type(value).__name__}, expected one tensor; give the published file")
    expected = torch.from_numpy(np.empty(0, dtype)).dtype
    if value.dtype != expected or tuple(value.shape) != shape or not value.is_contiguous():
        raise DataFileError(
            f"{path} holds {value.dtype} of shape {tuple(value.shape)}, expected {expected} of shape {shape}; "
            "give the published file"
        )
    array: npt.NDArray = value.numpy()
    return array


def _load_weights_only(path: Path) -> Any:
    """Load a file of torch.save without executing anything in it."""
    import torch

    zipped = zipfile.is_zipfile(path)
    try:
        _refuse_large_pickles(path, zipped=zipped)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch deprecates the storages in old files
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True if zipped else None)
    except pickle.UnpicklingError as error:
        raise DataFileError(
            f"{path} holds more than tensors, or is damaged; nothing in it was executed; give the published file"
        ) from error
    except TopdisError:
        raise
    except Exception as error:  # torch and zipfile raise many types for damaged files
        raise DataFileError(f"{path} is not a file of torch.save or is damaged; get it again") from error


def _refuse_large_pickles(path: Path, *, zipped: bool) -> None:
    """Refuse descriptions longer than a tensor's few hundred bytes, which could ask for any memory."""
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
