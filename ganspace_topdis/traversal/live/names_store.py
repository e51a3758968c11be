"""Names that several pages, and several servers on one run folder, change at the same time.

A change is one direction's. It is put into what the file holds at that moment, under a lock of its own that the
system lifts when its holder dies, so no change of another page is lost. A file that cannot be used (damaged, too
large, of other directions) is left as it is: pages show their own names, and changes are refused until it is gone.
"""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.traversal.live.questions import NameChange
from ganspace_topdis.traversal.names import NAMES_FILE, DirectionName, read_names, write_names

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["NamesStore"]


class NamesStore:
    """The names in a run folder.

    Args:
        folder: the run folder.
        num_directions: how many directions there are.
        source: a hash of them; see `names`.
    """

    def __init__(self, folder: Path, *, num_directions: int, source: str) -> None:
        self._folder, self._num_directions, self._source = folder, num_directions, source
        self._lock = threading.Lock()
        self._warned = False

    def read(self) -> dict[int, DirectionName]:
        """The names as they are now; none where the file cannot be used, with a warning at the first time."""
        try:
            return self._read()
        except InvalidArgumentError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"{error}; until it is moved away, pages show no names of it and it is not changed", stacklevel=2
                )
            return {}

    def change(self, change: NameChange) -> None:
        """Put one change into the file.

        Raises:
            RunFolderError: the file cannot be used, the folder is read-only, or the disk is full.
        """
        with self._lock, self._file_lock():
            try:
                before = self._read()
            except InvalidArgumentError as error:
                raise RunFolderError(
                    f"not kept: {error}; move that file away, or save the names with the page's button"
                ) from error
            write_names(self._folder / NAMES_FILE, {**before, change.index: change.name}, source=self._source)

    def _read(self) -> dict[int, DirectionName]:
        path = self._folder / NAMES_FILE
        if not os.path.lexists(path):
            return {}
        return read_names(path, num_directions=self._num_directions, source=self._source)

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        try:
            descriptor = os.open(self._folder / f".{NAMES_FILE}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise RunFolderError(
                f"names cannot be kept in {self._folder}: {error.strerror}; save them with the page's button"
            ) from error
        try:
            if fcntl is not None:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
