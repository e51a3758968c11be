"""What is known of the data sets and their files: described, fetched, checked against checksums, and drawn.

Most functions return a JSON-able record, which `vae.commands.data` prints. The contact sheet has one row per factor,
with its values from left to right and all other factors fixed.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ganspace_topdis.runs.downloads import fetch
from ganspace_topdis.runs.files import sha256_of, write_bytes
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.runs.transfer import TransferLimits
from ganspace_topdis.traversal.grid import encode_png, resize_frame
from ganspace_topdis.traversal.text import INK, PAPER, draw_text, text_width
from vae.data import DataSet, open_data
from vae.data.array_dataset import ArrayStore
from vae.data.catalog import CATALOG, DataSetInfo, SourceFile
from vae.data.content import content_error, content_facts
from vae.data.dataset import Integers
from vae.data.opening import check_name, find_info, open_set
from vae.data.source_files import CACHE_KIND, CHECKSUMS, DataFileError, find_files, locate, verify_checksum

__all__ = ["check_set", "contact_sheet", "describe_set", "fetch_set", "list_sets", "write_sheet"]

_MAX_BYTES = 40_000_000_000
_NUM_SAMPLED = 256
_TEXT_PX, _GAP_PX, _MARGIN_PX = 15, 4, 16


def list_sets() -> dict[str, Any]:
    """Return {"sets": one record per data set: name, images, shape, factors, size, license and state}."""
    return {"sets": [_summary(info) for info in CATALOG.values()]}


def describe_set(name: str) -> dict[str, Any]:
    """Return everything known about the data set `name`, variations included, its files and their paths.

    Raises:
        InvalidArgumentError: the data set is unknown, or has no such variations.
    """
    info, data = find_info(name), check_name(name)
    return {
        **_summary(info),
        "name": data.name,
        "num_images": len(data),
        "image_shape": list(data.image_shape),
        "factor_sizes": [factor.size for factor in data.factors],
        "factors": [{"name": factor.name, "size": factor.size, "kind": factor.kind} for factor in data.factors],
        "source": info.source,
        "instructions": info.instructions,
        "files": [_describe_file(info, file) for file in info.files],
    }


def fetch_set(name: str) -> dict[str, Any]:
    """Download the files of the data set `name` into the cache, unless they are in it; return {"files": their paths}.

    Raises:
        InvalidArgumentError: the data set is unknown, or has no such variations.
        DataFileError: it cannot be downloaded automatically, or an MD5 or git hash differs.
        DownloadError: the download failed, or the SHA-256 differs.
    """
    info = find_info(check_name(name).name)
    missing = [file.name for file in info.files if file.url is None]
    if missing:
        raise DataFileError(
            f"{info.name} cannot be fetched: {info.instructions}; then give its path, or put {', '.join(missing)} into "
            "the folder TOPDIS_DATA"
        )
    return {"files": [str(_fetch_file(file)) for file in info.files]}


def check_set(name: str, root: Path | None = None) -> dict[str, Any]:
    """Compare the files of the data set `name` with their published checksums, read it, and compare its content.

    `root` is its file or folder; None searches where `open_data` would. Variations are ignored once they are checked:
    they change no file.

    Returns:
        A record with "files" (path, bytes, algorithm, found, expected, matches, pinned), facts about images read from
        it, "content" (good, found), which is None if the checksums are the published ones, and "good", which is True
        for the data sets that `open_data` reads, with or without a warning.

    Raises:
        InvalidArgumentError: the data set is unknown, or has no such variations.
        DataFileError: a file is missing, or it has the published checksum or none and cannot be read.
    """
    info = find_info(check_name(name).name)
    paths = find_files(info, root) if info.files else ()
    files = [_check_file(path, file) for path, file in zip(paths, info.files, strict=True)]
    record: dict[str, Any] = {"name": info.name, "good": True, "files": files, "content": None}
    store = ArrayStore.in_cache(ProgressReporter(f"unpack {info.name}"))
    try:
        data = open_set(info, store=store, root=root, verify=False)
        if not all(file["matches"] for file in files):
            error = content_error(info.name, paths, data)
            record["good"] = error is None
            record["content"] = {"good": error is None, "found": error or content_facts(info.name)}
    except DataFileError as failure:
        if not any(file["matches"] is False and file["pinned"] for file in files):
            raise
        return {**record, "good": False, "content": {"good": False, "found": str(failure)}}
    return {**record, **_read_sample(data), "arrays": _check_arrays(store, info)}


def write_sheet(
    name: str,
    out: Path,
    *,
    data_root: Path | None = None,
    verify: bool = True,
    columns: int,
    cell: int,
    seed: int,
) -> dict[str, Any]:
    """Write a contact sheet of the data set `name` as PNG; return {"files": its path}.

    Args:
        name: name of the data set, variations included.
        out: the file.
        data_root: file or folder of the data set; None searches where `open_data` does.
        verify: whether its files are compared with their published checksums.
        columns: images per row.
        cell: width of an image, px.
        seed: seed of the images that are varied.

    Raises:
        InvalidArgumentError: the data set is unknown.
        DataFileError: its files are missing or cannot be read.
        RunFolderError: the file cannot be written.
    """
    data = open_data(name, root=data_root, verify=verify, progress=ProgressReporter(f"unpack {name}"))
    sheet = contact_sheet(data, num_columns=columns, cell_px=cell, seed=seed)
    path = write_bytes(out, encode_png(sheet))
    return {"files": [str(path)]}


def contact_sheet(data: DataSet, *, num_columns: int = 12, cell_px: int = 64, seed: int = 1) -> Image.Image:
    """Draw a contact sheet: one row per factor, or rows of random images if the factors are unknown.

    Args:
        data: the data set.
        num_columns: images per row; a factor with fewer values has a shorter row.
        cell_px: width of an image on the sheet.
        seed: seed of the images whose factors are varied, one per row.

    Example:
        >>> from vae.data import open_data
        >>> contact_sheet(open_data("dsprites"), num_columns=8).height
        368
    """
    rows = _rows(data, num_columns, np.random.default_rng(seed))
    height, width = round(cell_px * data.image_shape[0] / data.image_shape[1]), cell_px
    names = [name for name, _ in rows]
    label = round(max(text_width(name, _TEXT_PX) for name in names)) + 2 * _GAP_PX
    left = _MARGIN_PX + label
    size = (
        left + num_columns * (width + _GAP_PX) - _GAP_PX + _MARGIN_PX,
        2 * _MARGIN_PX + len(rows) * (height + _GAP_PX) - _GAP_PX,
    )
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for r, (name, indices) in enumerate(rows):
        top = _MARGIN_PX + r * (height + _GAP_PX)
        draw_text(pen, left - 2 * _GAP_PX, top + height / 2 + _TEXT_PX / 3, name, _TEXT_PX, INK, align="r")
        for c, image in enumerate(data.images(indices)):
            sheet.paste(resize_frame(image, (width, height)), (left + c * (width + _GAP_PX), top))
    return sheet


def _rows(data: DataSet, num_columns: int, generator: np.random.Generator) -> list[tuple[str, Integers]]:
    """Return label and indices of every row."""
    if not data.factors:
        return [("", data.sample(num_columns, generator)) for _ in range(5)]
    rows = []
    for k, factor in enumerate(data.factors):
        values = np.unique(np.linspace(0, factor.size - 1, num_columns).round().astype(np.int64))
        codes = np.repeat(data.sample_codes(1, generator), len(values), axis=0)
        codes[:, k] = values
        rows.append((factor.name, data.indices(codes)))
    return rows


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
    checksums = {name: getattr(file, name) for name in CHECKSUMS if getattr(file, name)}
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
