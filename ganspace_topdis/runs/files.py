"""Files that are either whole or absent: temporary file, fsync, rename, fsync of the folder.

A process killed at any moment leaves the old file or the new one, never half of either. A full disk or a
read-only folder raises `RunFolderError` naming the path, and the old file stays.
"""

import hashlib
import io
import json
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganspace_topdis.errors import RunFolderError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "is_leftover",
    "make_folder",
    "set_aside",
    "sha256_of",
    "write_array",
    "write_bytes",
    "write_json",
    "write_text",
]


_TEMPORARY = re.compile(r"\..*?(?:\.(\d{1,9})\.\w+)?\.tmp")


def make_folder(folder: Path) -> Path:
    """Make `folder` for results, and those above it; return it.

    Raises:
        RunFolderError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot make {folder}: {error.strerror}; choose another --out") from error
    return folder


def is_leftover(name: str) -> bool:
    """Whether `name` is of a temporary file of this module whose process is gone; `write_bytes` names its process."""
    match = _TEMPORARY.fullmatch(name)
    return match is not None and not (match[1] and _is_alive(int(match[1])))


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # where signal 0 is no question
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return pid != os.getpid()


def set_aside(path: Path) -> Path:
    """Give the file `path` another name beside it, `NAME.aside` or `NAME.aside-2` and so on; return the new path.

    Raises:
        RunFolderError: the folder is read-only.
    """
    count = 1
    while os.path.lexists(other := path.with_name(f"{path.name}.aside" + (f"-{count}" if count > 1 else ""))):
        count += 1
    try:
        return path.rename(other)
    except OSError as error:
        raise RunFolderError(f"cannot rename {path}: {error.strerror}; nothing there was changed") from error


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write `data` to `path` atomically and durably; return the path.

    A symbolic link is followed, so that the file it names is replaced and not the link.

    Raises:
        RunFolderError: the folder is missing or read-only, the disk is full, or `path` is not a plain file.
    """
    target = Path(path).resolve()
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        raise RunFolderError(f"cannot write {target}: it exists and is not a plain file; choose another path")
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.{os.getpid()}.", suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), _mode_for(target))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
        temporary = None
        _sync_folder(target.parent)
    except OSError as error:
        raise RunFolderError(f"cannot write {target}: {error.strerror or error}; nothing there was changed") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return Path(path)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write `text` as UTF-8, as `write_bytes` does."""
    return write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Write `value` as indented JSON, as `write_bytes` does. NaN and infinity are refused by `json`."""
    return write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_array(path: str | os.PathLike[str], array: "NDArray[Any]") -> Path:
    """Write `array` as .npy; see `write_bytes`."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return write_bytes(path, buffer.getvalue())


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, as lower-case hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file: Any) -> str:
    digest = hashlib.sha256()  # Python 3.10 has no hashlib.file_digest
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _mode_for(target: Path) -> int:
    """The permissions of the file that is replaced, or those that the umask gives a new one."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
