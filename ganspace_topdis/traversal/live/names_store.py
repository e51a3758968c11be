"""Names that several pages, and several servers on one run folder, change at the same time.

A change is one direction's. It is put into what the file holds at that moment, under a lock of its own that the
system lifts when its holder dies, so no change of another page is lost.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ganspace_topdis.errors import RunFolderError
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

    def read(self) -> dict[int, DirectionName]:
        """The names as they are now.

        Raises:
            InvalidArgumentError: the file is damaged, or belongs to other directions.
        """
        path = self._folder / NAMES_FILE
        return read_names(path, num_directions=self._num_directions, source=self._source) if path.exists() else {}

    def change(self, change: NameChange) -> None:
        """Put one change into the file.

        Raises:
            InvalidArgumentError: the file has been damaged since.
            RunFolderError: the folder is read-only, or the disk is full.
        """
        with self._lock, self._file_lock():
            names = {**self.read(), change.index: change.name}
            write_names(self._folder / NAMES_FILE, names, source=self._source)

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
