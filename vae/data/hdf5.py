"""Datasets in HDF5 files, read with care: an HDF5 file can point at other files, and this reader does not follow.

Refused are external and soft links, external storage, virtual datasets, chunks beyond reason and filters other
than HDF5's own gzip, shuffle and checksum (others are plug-ins, which HDF5 loads as code).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ganspace_topdis.errors import MissingDependencyError, TopdisError
from vae.data.errors import DataFileError, one_line

if TYPE_CHECKING:
    import h5py

__all__ = ["blocks_of", "open_dataset"]

_MAX_CHUNK_BYTES = 64 << 20
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32"}


@contextmanager
def open_dataset(
    path: Path, name: str, dtypes: tuple[npt.DTypeLike, ...], row_shape: tuple[int, ...]
) -> Iterator["h5py.Dataset"]:
    """The dataset `name` ("images", "latents/classes") of the file; its first axis may have any length.

    Raises:
        DataFileError: the file is no HDF5 file, lacks the dataset, or the dataset is not of the expected type and
            shape or lies elsewhere.
        MissingDependencyError: h5py is not installed.
    """
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            dataset = _follow(h5py, file, path, name)
            _check(dataset, path, dtypes, row_shape)
            yield dataset
    except TopdisError:
        raise
    except Exception as error:  # h5py raises half a dozen kinds for damaged files
        raise DataFileError(f"{path} is no HDF5 file or is damaged ({one_line(error)}); fetch it again") from error


def blocks_of(dataset: "h5py.Dataset", num_bytes: int = 256 << 20) -> Iterator[npt.NDArray]:
    """The dataset in pieces of whole chunks along its first axis, of about `num_bytes`."""
    row_bytes = max(1, dataset.dtype.itemsize * math.prod(dataset.shape[1:]))
    step = dataset.chunks[0] if dataset.chunks else 1
    num_rows = max(1, num_bytes // (row_bytes * step)) * step
    for start in range(0, dataset.shape[0], num_rows):
        yield dataset[start : start + num_rows]


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(
            "reading HDF5 files needs h5py; install it with `pip install 'topdis-gan[data]'`"
        ) from error
    return h5py


def _follow(h5py: Any, file: "h5py.File", path: Path, name: str) -> "h5py.Dataset":
    """Walk to `name` over hard links only."""
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
        raise DataFileError(f"{path}: {name} is no dataset; give the published file")
    return node


def _check(dataset: "h5py.Dataset", path: Path, dtypes: tuple[npt.DTypeLike, ...], row_shape: tuple[int, ...]) -> None:
    name = dataset.name.lstrip("/")
    if dataset.is_virtual or dataset.external:
        raise DataFileError(f"{path}: the values of {name} lie in other files; give the published file")
    if dataset.dtype not in [np.dtype(dtype) for dtype in dtypes] or dataset.shape[1:] != row_shape:
        allowed = " or ".join(str(np.dtype(dtype)) for dtype in dtypes)
        expected = ", ".join(map(str, ("N", *row_shape)))
        raise DataFileError(
            f"{path}: {name} is {dataset.dtype} of shape {dataset.shape}, expected is {allowed} ({expected}); "
            "give the published file"
        )
    if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > _MAX_CHUNK_BYTES:
        raise DataFileError(f"{path}: {name} has chunks of more than {_MAX_CHUNK_BYTES:,} bytes; it is refused")
    properties = dataset.id.get_create_plist()
    for k in range(properties.get_nfilters()):
        number = properties.get_filter(k)[0]
        if number not in _FILTERS:
            raise DataFileError(
                f"{path}: {name} is packed with HDF5 filter {number}, which would load a plug-in; "
                f"allowed are {', '.join(_FILTERS.values())}; give the published file"
            )
