"""One process a run folder: an advisory lock that the system lifts when its holder dies, however it dies.

The lock file holds the holder's process number, for the message to the second process. Where the system or
the file system knows no such lock (Windows, some network folders) nothing is locked.
"""

import os
from pathlib import Path

from ganspace_topdis.errors import RunFolderError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["FolderLock", "lock_holder"]

_NAME = ".lock"


class FolderLock:
    """Holds the lock of `folder` from construction to `release()`.

    Raises:
        RunFolderError: another process holds it, or the folder is read-only.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._descriptor: int | None = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise RunFolderError(
                f"cannot write in {folder}: {error.strerror}; make it writable or choose another folder"
            ) from error
        try:
            taken = _try_lock(self._descriptor)
            if not taken:
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
        """Let others have the folder; may be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_holder(folder: Path) -> str | None:
    """The process number of whoever holds the lock of `folder`; None when nobody does. Changes nothing."""
    if fcntl is None or not (folder / _NAME).is_file():
        return None
    descriptor = os.open(folder / _NAME, os.O_RDONLY)
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
    return (folder / _NAME).read_text(encoding="utf-8", errors="replace").strip() or "(unknown)"
