"""Names and stars that a user gave to directions, as the explorer page saves them and `--names` reads them.

A run folder keeps them in `names.json`, from which all later pictures and pages take them. The file is JSON, with
a hash of the directions as "source":

    {"format": "topdis-gan names", "source": "...", "directions": {"3": {"name": "Smile", "starred": true}}}
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.reading import ReadingError, read_json
from ganspace_topdis.traversal.labels import DirectionLabel

__all__ = [
    "NAMES_FILE",
    "NAMES_FORMAT",
    "DirectionName",
    "apply_names",
    "is_text",
    "read_names",
    "tidy_name",
    "write_names",
]

NAMES_FORMAT = "topdis-gan names"
NAMES_FILE = "names.json"
"""Where a run folder keeps them."""
_MAX_LENGTH = 200
_MAX_BYTES = 4_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectionName:
    """What a user called a direction, and whether it was starred."""

    name: str
    starred: bool = False


def read_names(
    path: str | os.PathLike[str], *, num_directions: int | None = None, source: str = ""
) -> dict[int, DirectionName]:
    """The names in a file that the explorer page saved, by direction number.

    Args:
        path: the file.
        num_directions: if given, numbers from there on are refused: the file belongs to other directions.
        source: if given, names of another source are refused; a file without a source passes.

    Raises:
        InvalidArgumentError: the file is missing, is not such a file, or names a direction that does not exist.
    """
    if Path(path).exists() and not Path(path).is_file():  # opening a named pipe would wait for its writer
        raise InvalidArgumentError(f"names file {path} cannot be read (it is not a plain file)")
    try:
        content = read_json(path, _MAX_BYTES)
    except ReadingError as error:
        raise InvalidArgumentError(
            f"names file {path} cannot be read ({error}); save one with the explorer page's button"
        ) from error
    directions = content.get("directions") if isinstance(content, dict) else None
    if not isinstance(directions, dict) or content.get("format") != NAMES_FORMAT:
        raise InvalidArgumentError(
            f"names file {path} is not one that the explorer page saved (format {NAMES_FORMAT!r})"
        )
    saved_for = content.get("source") or ""
    if not isinstance(saved_for, str):
        raise InvalidArgumentError(f"names file {path} has a wrong source; it must be text")
    if source and saved_for not in ("", source):
        raise InvalidArgumentError(
            f"names file {path} was saved for other directions (source {saved_for[:64]!r}, these are {source!r}); "
            "give the file saved from this run's page"
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


def write_names(path: str | os.PathLike[str], names: Mapping[int, DirectionName], *, source: str = "") -> Path:
    """Write a file that `read_names` reads, atomically.

    Raises:
        RunFolderError: the file cannot be written.
    """
    directions = {str(index): dataclasses.asdict(names[index]) for index in sorted(names)}
    return write_json(path, {"format": NAMES_FORMAT, "source": source, "directions": directions})


def is_text(name: str) -> bool:
    """Whether `name` is whole: JSON can name half of a surrogate pair, which is no character and is read as U+FFFD."""
    return not any("\ud800" <= character <= "\udfff" or character == "\ufffd" for character in name)


def _read_entry(path: str | os.PathLike[str], key: str, entry: Any) -> tuple[int, DirectionName]:
    name = entry.get("name") if isinstance(entry, dict) else None
    starred = entry.get("starred", False) if isinstance(entry, dict) else None
    is_number = key.isascii() and key.isdigit() and len(key) < 10
    if not is_number or not isinstance(name, str) or not isinstance(starred, bool) or not is_text(name):
        raise InvalidArgumentError(
            f"names file {path} has a wrong entry {key[:40]!r}; "
            'it must be like "3": {"name": "Smile", "starred": true}'
        )
    return int(key), DirectionName(name=tidy_name(name, int(key)), starred=starred)


def tidy_name(name: str, index: int) -> str:
    """The name on one line, not too long, and never empty.

    >>> tidy_name("  Hair \\n colour ", 3), tidy_name(" ", 3)
    ('Hair colour', 'Direction 3')
    """
    return " ".join(name.split())[:_MAX_LENGTH] or f"Direction {index}"
