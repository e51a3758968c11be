"""The mark of a cell: a small file that says how it stands. Imports nothing heavy, as every worker reads it."""

import contextlib
import os
from dataclasses import asdict, dataclass

from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.reading import read_json
from vae.suite.records import CellState

__all__ = ["Mark", "read_mark", "write_mark"]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How a cell stands.

    Attributes:
        state: as in a `Record`.
        reason: why it failed.
        attempts: how often it was started.
        duration_s: of all attempts.
        device: what it runs on, with the machine's name.
    """

    state: CellState = "missing"
    reason: str = ""
    attempts: int = 0
    duration_s: float = 0.0
    device: str = ""


def read_mark(path: str | os.PathLike[str]) -> Mark:
    """The mark in a file; "missing" where there is none, or it cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Mark(**read_json(path))
    return Mark()


def write_mark(path: str | os.PathLike[str], mark: Mark) -> Mark:
    """Write the mark, atomically; return it.

    Raises:
        RunFolderError: the folder is read-only or the disk is full.
    """
    write_json(path, asdict(mark))
    return mark
