"""The error of a data set's file: missing, damaged, hostile, or another file than the one that was meant."""

from ganspace_topdis.errors import TopdisError

__all__ = ["DataFileError"]


class DataFileError(TopdisError):
    """A data set's file cannot be used. The message names the file, what is wrong, and what would work."""
