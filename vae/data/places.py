"""Where a data set's files are: a path that the user gives, the folder of TOPDIS_DATA, or the cache of downloads."""

import os
from pathlib import Path

from ganspace_topdis.runs.downloads import cached_file
from vae.data.catalogue import SetInfo, SourceFile
from vae.data.errors import DataFileError

__all__ = ["KIND", "find_files", "locate"]

KIND = "data"
"""The folder of the download cache that data sets are kept in."""


def find_files(info: SetInfo, root: str | os.PathLike[str] | None = None) -> tuple[Path, ...]:
    """The local files of a set, in the order of `info.files`.

    Args:
        info: the set.
        root: its file (where it has just one), or a folder that holds its files under their published names, or
            in a folder of the set's name. None: the folder that TOPDIS_DATA names, then the cache.

    Raises:
        DataFileError: a file is missing; the message says how to get it.
    """
    given = None if root is None else Path(root).expanduser()
    if given is not None and not given.exists():
        raise DataFileError(f"no file or folder at {given}; check the path")
    if given is not None and given.is_file():
        if len(info.files) > 1:
            names = ", ".join(file.name for file in info.files)
            raise DataFileError(f"{info.name} has {len(info.files)} files; give the folder that holds {names}")
        return (given,)
    return tuple(_required(info, file, given) for file in info.files)


def locate(info: SetInfo, file: SourceFile, root: Path | None = None) -> Path | None:
    """Where a file of a set is, or None: in `root` if given, else in TOPDIS_DATA's folder or the cache."""
    folder = root
    if folder is None and (named := os.environ.get("TOPDIS_DATA")):
        folder = Path(named).expanduser()
    if folder is not None:
        for path in (folder / file.name, folder / info.name / file.name):
            if path.is_file():
                return path
    if root is not None or file.url is None:
        return None
    return cached_file(file.url, kind=KIND)


def _required(info: SetInfo, file: SourceFile, root: Path | None) -> Path:
    if path := locate(info, file, root):
        return path
    if root is not None:
        raise DataFileError(f"{root} holds no {file.name}, which {info.name} is read from; give its file or folder")
    get = f"`topdis-gan data fetch {info.name}` downloads it" if file.url else info.by_hand
    raise DataFileError(
        f"{info.name} is not on this machine: {get}; or give the path of {file.name}, or a folder in TOPDIS_DATA"
    )
