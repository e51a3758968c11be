"""Names and stars that a user gave to directions, as the explorer page saves them and `--names` reads them.

The file is JSON, with what the page was made from as "source":

    {"format": "topdis-gan names", "source": "...", "directions": {"3": {"name": "Smile", "starred": true}}}
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal.labels import DirectionLabel

__all__ = ["NAMES_FORMAT", "DirectionName", "apply_names", "read_names"]

NAMES_FORMAT = "topdis-gan names"
_MAX_LENGTH = 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectionName:
    """What a user called a direction, and whether it was starred."""

    name: str
    starred: bool = False


def read_names(path: str | os.PathLike[str], *, num_directions: int | None = None) -> dict[int, DirectionName]:
    """The names in a file that the explorer page saved, by direction number.

    Args:
        path: the file.
        num_directions: if given, numbers from there on are refused: the file belongs to other directions.

    Raises:
        InvalidArgumentError: the file is missing, is not such a file, or names a direction that does not exist.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise InvalidArgumentError(
            f"names file {path} cannot be read ({reason}); save one with the explorer page's button"
        ) from error
    directions = content.get("directions") if isinstance(content, dict) else None
    if not isinstance(directions, dict) or content.get("format") != NAMES_FORMAT:
        raise InvalidArgumentError(
            f"names file {path} is not one that the explorer page saved (format {NAMES_FORMAT!r})"
        )
    names = dict(_read_entry(path, key, entry) for key, entry in directions.items())
    outside = sorted(index for index in names if num_directions is not None and index >= num_directions)
    if outside:
        raise InvalidArgumentError(
            f"names file {path} names direction {outside[0]}, but there are only {num_directions}; "
            "it belongs to another run"
        )
    return names


def apply_names(labels: Sequence[DirectionLabel], names: Mapping[int, DirectionName]) -> list[DirectionLabel]:
    """The labels with the names and stars that the user gave; the others stay as they are."""
    return [
        dataclasses.replace(label, name=names[label.index].name, starred=names[label.index].starred)
        if label.index in names
        else label
        for label in labels
    ]


def _read_entry(path: str | os.PathLike[str], key: str, entry: Any) -> tuple[int, DirectionName]:
    name = entry.get("name") if isinstance(entry, dict) else None
    starred = entry.get("starred", False) if isinstance(entry, dict) else None
    if not (key.isascii() and key.isdigit()) or not isinstance(name, str) or not isinstance(starred, bool):
        raise InvalidArgumentError(
            f'names file {path} has a wrong entry {key!r}; it must be like "3": {{"name": "Smile", "starred": true}}'
        )
    tidy = " ".join(name.split())[:_MAX_LENGTH]
    return int(key), DirectionName(name=tidy or f"Direction {int(key)}", starred=starred)
