"""The error of a data set's file: missing, damaged, hostile, or another file than the one that was meant."""

from ganspace_topdis.errors import TopdisError

__all__ = ["DataFileError", "one_line"]


class DataFileError(TopdisError):
    """A data set's file cannot be used. The message names the file, what is wrong, and what would work."""


def one_line(error: Exception) -> str:
    """What a library said of a damaged file, on one line and not too long."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 120 else f"{said[:117]}..."
