"""Errors of the user: one line that names what is wrong, what is allowed, and what to do next.

Every mistake that a user can make raises a subclass of `TopdisError`; the command line prints its message without a
traceback and exits with its `exit_code` (1 failed, 2 wrong usage). Internal impossibilities assert instead.

A message names a setting by its field in backquotes (`batch_size`); the command line replaces it by the option as it
is typed (--batch-size).
"""

__all__ = [
    "CheckpointError",
    "InvalidArgumentError",
    "MissingDependencyError",
    "NonFinitePointsError",
    "RunFolderError",
    "TopdisError",
]


_MAX_LETTERS = 4000


def _shown(letter: str) -> str:
    return letter if letter.isprintable() else " " if letter.isspace() else "?"


class TopdisError(Exception):
    """A failure that the user can understand and act on. `exit_code` is that of the command."""

    exit_code = 1

    def __str__(self) -> str:
        """The message on one printable line; it may quote names and texts from untrusted files."""
        text = super().__str__()
        shown = text if text.isprintable() else "".join(_shown(letter) for letter in text)
        return shown if len(shown) <= _MAX_LETTERS else f"{shown[:_MAX_LETTERS]}..."


class InvalidArgumentError(TopdisError, ValueError):
    """A setting has a value that is not allowed. The message names the setting, the value, and what is allowed.

    Attributes:
        field: the setting at fault, by its name in Python; None where there is no single one.
    """

    exit_code = 2

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NonFinitePointsError(InvalidArgumentError):
    """Points are NaN or infinite, or so far apart or close together that distances or gradients are not finite."""


class CheckpointError(TopdisError):
    """A file of weights or directions is missing, damaged, hostile, or cannot be used."""


class RunFolderError(TopdisError):
    """A run folder cannot be used: it belongs to another run, is in use, read-only, or the disk is full."""


class MissingDependencyError(TopdisError, ImportError):
    """An optional package is needed. The message names the extra that installs it."""
