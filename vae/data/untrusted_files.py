"""Arrays in files from untrusted sources: .npz, HDF5 and torch.save.

The policy is that of `ganspace_topdis.runs.reading`, whose readers do the parsing. In addition:

* A pickle becomes inert records (`ganspace_topdis.safe_pickle`), and HDF5 filter plug-ins are refused.
* Only the file itself is read: no external or soft links, external storage or virtual datasets.
* Type and shape must be exactly those that the caller expects, and are checked before any data is read; no more bytes
  than these are ever inflated, and compressed torch files, which torch.save does not write, are refused.

An .npz file is a zip archive of .npy files: only the requested member is opened, memory-mapped if it is stored, and
streamed if it is compressed.
"""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ganspace_topdis.errors import CheckpointError, MissingDependencyError, TopdisError
from ganspace_topdis.runs.archives import map_file, member_sizes, open_archive, read_npy_header, stored_member
from ganspace_topdis.runs.reading import ReadingError, parsing, reason_of
from vae.data.source_files import DataFileError

if TYPE_CHECKING:
    import h5py

__all__ = ["NpzMember", "hdf5_blocks", "load_tensor", "open_hdf5_dataset", "open_npz_member"]

_MAX_MEMBERS = 1000
_MAX_DESCRIPTION_BYTES = 4096  # of the pickle of one tensor, which has a few hundred
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
    """Memory-map the only tensor in a file of torch.save, in either of its containers.

    Raises:
        DataFileError: the file holds anything but one contiguous tensor of this type and shape.
    """
    from ganspace_topdis.safe_pickle.records import TensorRef  # imports torch

    value = _read_torch_file(path)
    if not isinstance(value, TensorRef):
        kind = value.name if hasattr(value, "name") else type(value).__name__
        raise DataFileError(
            f"{path} holds a {kind}, expected one tensor; nothing in it was executed; give the published file"
        )
    expected, stored = np.dtype(dtype), value.storage.dtype
    if stored != expected.str or value.size != shape or not _is_contiguous(value.size, value.stride):
        found = stored if stored == "bfloat16" else np.dtype(stored).name
        raise DataFileError(
            f"{path} holds {found} of shape {value.size} and strides {value.stride}, expected contiguous {expected} "
            f"of shape {shape}; give the published file"
        )
    if value.storage.data is None:
        raise DataFileError(f"{path} is damaged: its tensor has no values; get it again")
    offset = value.offset * expected.itemsize
    return np.frombuffer(value.storage.data, expected, math.prod(shape), offset).reshape(shape)


def _read_torch_file(path: Path) -> Any:
    """Return the object in a file of torch.save as inert records; its storages stay memory-mapped."""
    from ganspace_topdis.safe_pickle.records import Budget
    from ganspace_topdis.safe_pickle.torch_container import LEGACY_HEAD, read_legacy, read_zip

    try:
        with parsing():
            data, budget = map_file(path), Budget(_MAX_DESCRIPTION_BYTES)
            if data[:2] == b"PK":
                return read_zip(data, budget)
            if data[: len(LEGACY_HEAD)] == LEGACY_HEAD:
                return read_legacy(data, budget)
            raise ReadingError("it starts with neither of the containers of torch.save")
    except (CheckpointError, ReadingError) as error:
        raise DataFileError(
            f"{path} is not a file of torch.save with one tensor, or is damaged ({error}); nothing in it was executed; "
            "give the published file"
        ) from error


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return all(size == 1 or step == contiguous for size, step, contiguous in zip(shape, strides, expected, strict=True))
