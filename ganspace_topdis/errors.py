"""Errors made for people: one line that names what was wrong, what is allowed, and what to do next.

Everything a user can get wrong raises a subclass of `TopdisError`; the command line prints its message
without a traceback and leaves with its `exit_code` (1 failed, 2 wrong usage). Impossible states of our own
assert instead.

A message names a setting by its field in backquotes (`batch_size`), as it is called from Python; the command line
replaces it by the option as it is typed (--batch-size).
"""

__all__ = [
    "CheckpointError",
    "InvalidArgumentError",
    "MissingDependencyError",
    "RunFolderError",
    "TopdisError",
]


_MOST_LETTERS = 4000


def _shown(letter: str) -> str:
    return letter if letter.isprintable() else " " if letter.isspace() else "?"


class TopdisError(Exception):
    """A failure that the user can understand and act on. `exit_code` is what the command leaves with."""

    exit_code = 1

    def __str__(self) -> str:
        """The message on one printable line: it may quote names and texts out of files that others wrote."""
        text = super().__str__()
        shown = text if text.isprintable() else "".join(_shown(letter) for letter in text)
        return shown if len(shown) <= _MOST_LETTERS else f"{shown[:_MOST_LETTERS]}..."


class InvalidArgumentError(TopdisError, ValueError):
    """An argument or option has a value that is not allowed. The message names all three and the next step.

    Attributes:
        field: the setting at fault, as it is called from Python; None where there is no single one.
    """

    exit_code = 2

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class CheckpointError(TopdisError):
    """A file of weights or directions is missing, damaged, hostile, or of a kind that cannot be used."""


class RunFolderError(TopdisError):
    """A run folder cannot be used: it belongs to another run, is in use, read-only, or the disk is full."""


class MissingDependencyError(TopdisError, ImportError):
    """An optional package is needed here. The message names the extra that brings it."""
