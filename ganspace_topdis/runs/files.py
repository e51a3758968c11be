"""Atomic files, checksums, and the lock of a folder.

A file is either complete or absent: it is written under a temporary name, synced to disk and renamed. A process that
is killed at any moment leaves the old file or the new one. A full disk or a read-only folder raises `RunFolderError`,
which names the path; the old file stays.

`FolderLock` admits one process at a time to a folder. The operating system releases the lock when its holder ends,
however it ends. Where there are no such locks (Windows, some network file systems), nothing is locked.
"""

import hashlib
import io
import json
import os
import re
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ganspace_topdis.errors import RunFolderError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "LOCK",
    "FolderLock",
    "hash_file",
    "is_leftover",
    "lock_holder",
    "make_folder",
    "set_aside",
    "sha256_of",
    "write_array",
    "write_bytes",
    "write_json",
    "write_text",
]

_TEMPORARY = re.compile(r"\..*?(?:\.(\d{1,9})\.\w+)?\.tmp")
LOCK = ".lock"
"""The name of the file by which a folder is locked."""
_BLOCK_BYTES = 1 << 20


def make_folder(folder: Path) -> Path:
    """Create `folder` and its parents; return it.

    Raises:
        RunFolderError: the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot make {folder}: {error.strerror}; choose another `out`") from error
    return folder


def set_aside(path: Path) -> Path:
    """Rename a file to the first free name of NAME.aside, NAME.aside-2, ...; return the new path.

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

    The target of a symbolic link is replaced; the link stays.

    Raises:
        RunFolderError: the folder is missing or read-only, the disk is full, or `path` is not a regular file.
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
    """Write `text` in UTF-8; see `write_bytes`. Bytes of paths that are no UTF-8 are escaped as JSON escapes them."""
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Write `value` as indented JSON; see `write_bytes`. NaN and infinity raise ValueError."""
    return write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_array(path: str | os.PathLike[str], array: "NDArray[Any]") -> Path:
    """Write `array` as .npy; see `write_bytes`."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return write_bytes(path, buffer.getvalue())


def is_leftover(name: str) -> bool:
    """Whether `name` is that of a temporary file of `write_bytes` whose process has ended."""
    match = _TEMPORARY.fullmatch(name)
    return match is not None and not (match[1] and _is_running(int(match[1])))


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as lowercase hexadecimal digits."""
    return hash_file(path, "sha256")


def hash_file(path: str | os.PathLike[str], algorithm: str) -> str:
    """Return a checksum of a file as lowercase hexadecimal digits.

    Args:
        path: the file, of any size.
        algorithm: a name that `hashlib.new` accepts, or "git_sha1" for the identifier that git gives the file.
    """
    digest = hashlib.new(algorithm.removeprefix("git_"), usedforsecurity=False)
    with Path(path).open("rb") as file:
        if algorithm == "git_sha1":  # git hashes this header followed by the contents
            digest.update(b"blob %d\0" % os.fstat(file.fileno()).st_size)
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


class FolderLock:
    """The lock of a folder, held until `release()` or the end of a `with` block.

    Raises:
        RunFolderError: another process holds the lock, or the folder is read-only.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._descriptor: int | None = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise RunFolderError(
                f"cannot write in {folder}: {error.strerror}; make it writable or choose another folder"
            ) from error
        try:
            if not _try_lock(self._descriptor):
                raise RunFolderError(
                    f"{folder} is in use by process {_read_pid(folder)}; wait for it, stop it, or choose another folder"
                )
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, str(os.getpid()).encode())
        except OSError as error:
            self.release()
            raise RunFolderError(f"cannot write in {folder}: {error.strerror}") from error
        except RunFolderError:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock; repeated calls do nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "FolderLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def lock_holder(folder: Path) -> str | None:
    """Return the process ID of the holder of the folder's lock, or None. Does not modify the folder."""
    if fcntl is None or not (folder / LOCK).is_file():
        return None
    descriptor = os.open(folder / LOCK, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(folder)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _try_lock(descriptor: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _read_pid(folder: Path) -> str:
    return (folder / LOCK).read_text(encoding="utf-8", errors="replace").strip() or "(unknown)"


def _is_running(pid: int) -> bool:
    if os.name == "nt":  # signal 0 would end the process there
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return pid != os.getpid()


def _mode_for(target: Path) -> int:
    """Return the permissions of the file to replace, or those that the umask gives a new file."""
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
