"""What `topdis-gan data` does: list the sets, tell what is known of one, fetch its files, check them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ganspace_topdis.runs.downloads import fetch
from ganspace_topdis.runs.files import sha256_of
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.runs.transfer import TransferLimits
from vae.data.array_store import ArrayStore
from vae.data.catalogue import CATALOGUE, SetInfo, SourceFile
from vae.data.dataset import DataSet
from vae.data.errors import DataFileError
from vae.data.opening import info_of, open_set
from vae.data.places import KIND, find_files, locate
from vae.data.sums import judge

__all__ = ["check_set", "describe_set", "fetch_set", "list_sets"]

_MAX_BYTES = 40_000_000_000
_NUM_SAMPLED = 256

ProgressFor = Callable[[str], Progress]
"""Makes the progress that is shown for a piece of work of that name."""


def list_sets() -> list[dict[str, Any]]:
    """One record a set: name, images, shape, factors, bytes in memory, licence, and whether it can be opened now."""
    return [_summary(info) for info in CATALOGUE.values()]


def describe_set(name: str) -> dict[str, Any]:
    """All that is known of a set, its files and where they are.

    Raises:
        InvalidArgumentError: there is no such set.
    """
    info = info_of(name)
    factors = [{"name": factor.name, "size": factor.size, "kind": factor.kind} for factor in info.factors]
    files = [_describe_file(info, file) for file in info.files]
    return {**_summary(info), "factors": factors, "source": info.source, "by_hand": info.by_hand, "files": files}


def fetch_set(name: str, progress_for: ProgressFor | None = None) -> list[Path]:
    """Download the files of a set into the cache, or take them from there, their sums checked.

    Raises:
        InvalidArgumentError: there is no such set.
        DataFileError: it cannot be downloaded without a person, or an md5 or git sum differs.
        DownloadError: the download failed, or the SHA-256 differs.
    """
    info = info_of(name)
    missing = [file.name for file in info.files if file.url is None]
    if missing:
        raise DataFileError(
            f"{info.name} cannot be fetched: {info.by_hand}; then give its path, or put {', '.join(missing)} into the "
            "folder that TOPDIS_DATA names"
        )
    return [_fetch_file(file, progress_for) for file in info.files]


def check_set(
    name: str, root: str | os.PathLike[str] | None = None, progress_for: ProgressFor | None = None
) -> dict[str, Any]:
    """Compare a set's files with the published sums, and read it.

    Args:
        name: the set.
        root: its file or folder; None: where `open_data` would look.
        progress_for: makes the progress shown while a set is unpacked into the cache.

    Returns:
        A record with a list `files` (path, bytes, algorithm, found, expected, matches), and of the images read from
        it. `good` is False where a firm sum differs.

    Raises:
        InvalidArgumentError: there is no such set.
        DataFileError: a file is missing or cannot be read.
    """
    info = info_of(name)
    paths = find_files(info, root) if info.files else ()
    files = [_judged(path, file) for path, file in zip(paths, info.files, strict=True)]
    wrong = [record for record in files if record["matches"] is False and record["firm"]]
    record: dict[str, Any] = {"name": info.name, "good": not wrong, "files": files}
    if wrong:
        return record
    store = ArrayStore.in_cache(progress_for(f"unpack {info.name}") if progress_for else None)
    data = open_set(info, store=store, root=root, verify=False)
    return {**record, **_read_some(data), "arrays": _stored_arrays(store, info)}


def _summary(info: SetInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "title": info.title,
        "num_images": info.num_images,
        "image_shape": list(info.image_shape),
        "factor_sizes": [factor.size for factor in info.factors],
        "num_array_bytes": info.num_array_bytes,
        "licence": info.licence,
        "state": _state(info),
    }


def _state(info: SetInfo) -> str:
    if not info.files:
        return "drawn"
    if all(locate(info, file) for file in info.files):
        return "here"
    return "fetch" if all(file.url for file in info.files) else "by hand"


def _describe_file(info: SetInfo, file: SourceFile) -> dict[str, Any]:
    path = locate(info, file)
    sums = {name: getattr(file, name) for name in ("sha256", "md5", "git_sha1") if getattr(file, name)}
    return {
        "name": file.name,
        "url": file.url,
        "num_bytes": file.num_bytes,
        **sums,
        "path": None if path is None else str(path),
    }


def _fetch_file(file: SourceFile, progress_for: ProgressFor | None) -> Path:
    assert file.url is not None, file
    limits = TransferLimits(max_bytes=_MAX_BYTES)
    progress = progress_for(f"fetch {file.name}, MB") if progress_for else None
    path = fetch(file.url, sha256=file.sha256, kind=KIND, limits=limits, progress=progress)
    if file.firm and file.sha256 is None:
        verdict = judge(path, file)
        if verdict.matches is False:
            raise DataFileError(
                f"{file.name} came with the {verdict.algorithm} {verdict.found}, the published one has "
                f"{verdict.expected}; remove {path.parent} and try again"
            )
    return path


def _judged(path: Path, file: SourceFile) -> dict[str, Any]:
    verdict = judge(path, file)
    return {
        "path": str(path),
        "num_bytes": path.stat().st_size,
        "algorithm": verdict.algorithm,
        "found": verdict.found,
        "expected": verdict.expected,
        "matches": verdict.matches,
        "firm": file.firm,
    }


def _read_some(data: DataSet) -> dict[str, Any]:
    images = data.images(np.unique(np.linspace(0, len(data) - 1, _NUM_SAMPLED).astype(np.int64)))
    return {
        "num_images": len(data),
        "image_shape": list(data.image_shape),
        "factor_sizes": list(data.factor_sizes),
        "num_read": len(images),
        "mean": round(float(images.mean()), 3),
        "fingerprint": data.fingerprint,
    }


def _stored_arrays(store: ArrayStore, info: SetInfo) -> list[dict[str, Any]]:
    """The unpacked arrays of this set in the cache, each compared with the sum that was taken when it was made."""
    return [
        {"path": str(path), "num_bytes": path.stat().st_size, "matches": sha256_of(path) == recorded}
        for path, recorded in store.kept(info)
    ]
