"""Open a data set by name."""

import os
from collections.abc import Callable

from ganspace_topdis.errors import InvalidArgumentError
from vae.data.dataset import DataSet
from vae.data.drawn import drawn_scenes, drawn_sprites

__all__ = ["names", "open_data"]

_OPENERS: dict[str, Callable[[], DataSet]] = {
    "dsprites": drawn_sprites,
    "scenes": drawn_scenes,
    "scenes-32": lambda: drawn_scenes(32, "scenes-32"),
}


def names() -> tuple[str, ...]:
    """The names that `open_data` knows."""
    return tuple(_OPENERS)


def open_data(name: str, *, root: str | os.PathLike[str] | None = None, cache: bool = True) -> DataSet:
    """The data set called `name`.

    Args:
        name: one of `names()`.
        root: the set's file or folder, for sets that are not drawn.
        cache: whether files may be made in the cache folder.

    Raises:
        InvalidArgumentError: there is no such set.
    """
    if name not in _OPENERS:
        raise InvalidArgumentError(f"data set {name!r} is unknown: choose one of {', '.join(names())}")
    return _OPENERS[name]()
