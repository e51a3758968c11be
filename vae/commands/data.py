"""`topdis-gan data`: list the data sets, describe, fetch and check one, and draw its contact sheet."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganspace_topdis.runs.downloads import fetch
from ganspace_topdis.runs.files import sha256_of, write_bytes
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.runs.transfer import TransferLimits
from ganspace_topdis.traversal.grid import encode_png
from vae.data import DataSet, open_data
from vae.data.array_dataset import ArrayStore
from vae.data.catalog import CATALOG, DataSetInfo, SourceFile
from vae.data.opening import find_info, open_set
from vae.data.pictures import contact_sheet
from vae.data.source_files import CACHE_KIND, DataFileError, find_files, locate, verify_checksum

__all__ = [
    "check_set",
    "check_text",
    "describe_set",
    "describe_text",
    "fetch_set",
    "fetch_text",
    "list_sets",
    "list_text",
    "sheet_text",
    "write_sheet",
]

_MAX_BYTES = 40_000_000_000
_NUM_SAMPLED = 256
_CHECKSUMS = ("sha256", "md5", "git_sha1")
_STATES = {
    "procedural": "procedural",
    "local": "on this machine",
    "downloadable": "to download",
    "manual": "to get manually",
}


def list_sets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"sets": one record per data set: name, images, shape, factors, size, license, and its state}."""
    return {"sets": [_summary(info) for info in CATALOG.values()]}


def list_text(record: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Format the list as a table, one line per data set."""
    rows = [("name", "images", "size", "factors", "in memory", "state", "content")]
    rows += [
        (
            each["name"],
            f"{each['num_images']:,}",
            _times(each["image_shape"]),
            _times(each["factor_sizes"]),
            _bytes(each["num_array_bytes"]),
            _STATES[each["state"]],
            each["title"],
        )
        for each in record["sets"]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right_aligned = (1, 4)
    lines = (
        "  ".join(
            cell.rjust(width) if column in right_aligned else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def describe_set(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything known about the data set "name", its files and their paths.

    Raises:
        InvalidArgumentError: the data set is unknown.
    """
    info = find_info(options["name"])
    return {
        **_summary(info),
        "factors": [{"name": factor.name, "size": factor.size, "kind": factor.kind} for factor in info.factors],
        "source": info.source,
        "instructions": info.instructions,
        "files": [_describe_file(info, file) for file in info.files],
    }


def describe_text(record: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Format the description, one line per fact."""
    lines = [
        f"{record['name']}: {record['title']}",
        f"images    {record['num_images']:,} of {_times(record['image_shape'])}, "
        f"{_bytes(record['num_array_bytes'])} in memory",
        *(f"factor    {each['name']}: {each['size']} values, {each['kind']}" for each in record["factors"]),
    ]
    if not record["factors"]:
        lines.append("factors   unknown; supervised scores cannot be computed")
    lines += [f"license   {record['license']}", f"source    {record['source']}"]
    if record["instructions"]:
        lines.append(f"to get    {record['instructions']}")
    lines.append(f"state     {_STATES[record['state']]}")
    for file in record["files"]:
        lines.append(f"file      {file['name']}" + (f", {file['num_bytes']:,} bytes" if file["num_bytes"] else ""))
        lines += [f"          {name} {file[name]}" for name in (*_CHECKSUMS, "url", "path") if file.get(name)]
    return "\n".join(lines)


def fetch_set(options: Mapping[str, Any]) -> dict[str, Any]:
    """Download the files of the data set "name" into the cache, unless they are in it; return {"files": their paths}.

    Raises:
        InvalidArgumentError: the data set is unknown.
        DataFileError: it cannot be downloaded automatically, or an MD5 or git hash differs.
        DownloadError: the download failed, or the SHA-256 differs.
    """
    info = find_info(options["name"])
    missing = [file.name for file in info.files if file.url is None]
    if missing:
        raise DataFileError(
            f"{info.name} cannot be fetched: {info.instructions}; then give its path, or put {', '.join(missing)} into "
            "the folder TOPDIS_DATA"
        )
    return {"files": [str(_fetch_file(file)) for file in info.files]}


def fetch_text(record: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return the paths, one per line."""
    return "\n".join(record["files"])


def check_set(options: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the files of the data set "name" with their published checksums, and read it.

    "root" is its file or folder; None searches where `open_data` would.

    Returns:
        A record with "files" (path, bytes, algorithm, found, expected, matches, pinned), facts about images read from
        it, and "good", which is False if a pinned checksum differs.

    Raises:
        InvalidArgumentError: the data set is unknown.
        DataFileError: a file is missing or cannot be read.
    """
    info, root = find_info(options["name"]), options["root"]
    paths = find_files(info, root) if info.files else ()
    files = [_check_file(path, file) for path, file in zip(paths, info.files, strict=True)]
    wrong = [record for record in files if record["matches"] is False and record["pinned"]]
    record: dict[str, Any] = {"name": info.name, "good": not wrong, "files": files}
    if wrong:
        return record
    store = ArrayStore.in_cache(ProgressReporter(f"unpack {info.name}"))
    data = open_set(info, store=store, root=root, verify=False)
    return {**record, **_read_sample(data), "arrays": _check_arrays(store, info)}


def check_text(record: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Format the check: one line per file, one for the images, one per cached array."""
    lines = [f"{file['path']}: {file['num_bytes']:,} bytes, {_checksum_text(file)}" for file in record["files"]]
    if "num_read" in record:
        factors = _times(record["factor_sizes"])
        lines.append(
            f"{record['name']}: {record['num_images']:,} images of {_times(record['image_shape'])}"
            + (f" on a grid of {factors}" if factors else ", no factors")
            + f"; {record['num_read']} of them were read, their mean is {record['mean']:g}"
        )
    for array in record.get("arrays", []):
        state = "intact" if array["matches"] else "DAMAGED; delete it, and it will be made again"
        lines.append(f"{array['path']}: {array['num_bytes']:,} bytes, {state}")
    return "\n".join(lines)


def write_sheet(options: Mapping[str, Any]) -> dict[str, Any]:
    """Write a contact sheet of the data set "name" as PNG; return {"file": its path}.

    Raises:
        InvalidArgumentError: the data set is unknown.
        DataFileError: its files are missing or cannot be read.
        RunFolderError: the file cannot be written.
    """
    name: str = options["name"]
    data = open_data(
        name, root=options["data_root"], verify=options["verify"], progress=ProgressReporter(f"unpack {name}")
    )
    sheet = contact_sheet(data, num_columns=options["columns"], cell_px=options["cell"], seed=options["seed"])
    return {"file": str(write_bytes(options["out"] or Path(f"{name.partition(':')[0]}.png"), encode_png(sheet)))}


def sheet_text(record: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return the path."""
    return str(record["file"])


def _summary(info: DataSetInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "title": info.title,
        "num_images": info.num_images,
        "image_shape": list(info.image_shape),
        "factor_sizes": [factor.size for factor in info.factors],
        "num_array_bytes": info.num_array_bytes,
        "license": info.license,
        "state": _state(info),
    }


def _state(info: DataSetInfo) -> str:
    if not info.files:
        return "procedural"
    if all(locate(info, file) for file in info.files):
        return "local"
    return "downloadable" if all(file.url for file in info.files) else "manual"


def _describe_file(info: DataSetInfo, file: SourceFile) -> dict[str, Any]:
    path = locate(info, file)
    checksums = {name: getattr(file, name) for name in _CHECKSUMS if getattr(file, name)}
    return {
        "name": file.name,
        "url": file.url,
        "num_bytes": file.num_bytes,
        **checksums,
        "path": None if path is None else os.fspath(path),
    }


def _fetch_file(file: SourceFile) -> Path:
    assert file.url is not None, file
    limits = TransferLimits(max_bytes=_MAX_BYTES)
    progress = ProgressReporter(f"fetch {file.name}, MB")
    path = fetch(file.url, sha256=file.sha256, kind=CACHE_KIND, limits=limits, progress=progress)
    if file.pinned and file.sha256 is None:
        result = verify_checksum(path, file)
        if result.matches is False:
            raise DataFileError(
                f"{file.name} was downloaded with the {result.algorithm} {result.found}, the published one has "
                f"{result.expected}; delete {path.parent} and try again"
            )
    return path


def _check_file(path: Path, file: SourceFile) -> dict[str, Any]:
    result = verify_checksum(path, file)
    return {
        "path": str(path),
        "num_bytes": path.stat().st_size,
        "algorithm": result.algorithm,
        "found": result.found,
        "expected": result.expected,
        "matches": result.matches,
        "pinned": file.pinned,
    }


def _read_sample(data: DataSet) -> dict[str, Any]:
    images = data.images(np.unique(np.linspace(0, len(data) - 1, _NUM_SAMPLED).astype(np.int64)))
    return {
        "num_images": len(data),
        "image_shape": list(data.image_shape),
        "factor_sizes": list(data.factor_sizes),
        "num_read": len(images),
        "mean": round(float(images.mean()), 3),
        "fingerprint": data.fingerprint,
    }


def _check_arrays(store: ArrayStore, info: DataSetInfo) -> list[dict[str, Any]]:
    """Compare the cached arrays of a data set with the checksums recorded when they were made."""
    return [
        {"path": str(path), "num_bytes": path.stat().st_size, "matches": sha256_of(path) == recorded}
        for path, recorded in store.stored(info)
    ]


def _checksum_text(file: Mapping[str, Any]) -> str:
    if file["matches"] is None:
        return "no published checksum is known"
    if file["matches"]:
        return f"its {file['algorithm']} is the published one"
    difference = f"its {file['algorithm']} is {file['found']}, the published one was {file['expected']}"
    return f"NOT the published file: {difference}" if file["pinned"] else f"{difference}, for an earlier upload"


def _times(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes))


def _bytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
