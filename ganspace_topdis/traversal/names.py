"""Names of directions: labels on pictures, the names file, and its changes by several pages at once.

A user names and stars directions on the explorer page. The page saves them as a names file, `--names` reads it, and a
run folder keeps it as `names.json`, which all later pictures and pages use. The file is JSON, with a hash of the
directions as "source":

    {"format": "topdis-gan names", "source": "...", "directions": {"3": {"name": "Smile", "starred": true}}}

Only names that a user typed are saved; a direction without one has an empty name there and its automatic name on
pictures. What the scores say of a direction, its marks, is never part of a name.
"""

import dataclasses
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.report.values import format_number, score_name
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.reading import ReadingError, read_json

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "CHANCE_LEVEL",
    "NAMES_FILE",
    "NAMES_FORMAT",
    "DirectionLabel",
    "DirectionName",
    "NamesStore",
    "apply_names",
    "clean_name",
    "default_labels",
    "is_text",
    "read_names",
    "score_texts",
    "shift_unit",
    "write_names",
]

NAMES_FORMAT = "topdis-gan names"
NAMES_FILE = "names.json"
"""The names file of a run folder."""
CHANCE_LEVEL = "chance level"
"""The mark of a direction that is no better than random ones."""
_MAX_LENGTH = 200
_MAX_BYTES = 4_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectionLabel:
    """The text beside a direction.

    Attributes:
        index: the direction's number in its file, from 0.
        name: its name.
        scores: score key -> number; known keys are those of `SCORE_NOTES`, others are shown as they are.
        starred: whether the user starred it.
        marks: what the scores say of it, such as a matched factor or "chance level"; shown after any name.
        automatic_name: the name that it has without the user's; `name` if empty.
    """

    index: int
    name: str
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    starred: bool = False
    marks: tuple[str, ...] = ()
    automatic_name: str = ""

    @property
    def marks_text(self) -> str:
        """The marks as they stand after a name.

        >>> DirectionLabel(index=0, name="Smile", marks=("size?", "chance level")).marks_text
        ' (size?, chance level)'
        """
        return f" ({', '.join(self.marks)})" if self.marks else ""

    @property
    def heading(self) -> str:
        """The name with the marks."""
        return self.name + self.marks_text


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectionName:
    """The name that a user gave to a direction, empty if none, and whether it is starred."""

    name: str
    starred: bool = False


def default_labels(num_directions: int, scores: Sequence[Mapping[str, float]] | None = None) -> list[DirectionLabel]:
    """Return the labels "Direction 0", "Direction 1", ... with their scores, if given."""
    return [
        DirectionLabel(index=index, name=f"Direction {index}", scores=scores[index] if scores else {})
        for index in range(num_directions)
    ]


def score_texts(label: DirectionLabel) -> list[tuple[str, str]]:
    """Return the short name and the number of each score of a direction, as shown beside it.

    >>> score_texts(DirectionLabel(index=0, name="Smile", scores={"rank": 2, "rtd_after": 0.8}))
    [('Rank', '2'), ('RTD after', '0.800')]
    """
    return [
        (score_name(key), str(value) if isinstance(value, int) else format_number(value, num_digits=3))
        for key, value in label.scores.items()
    ]


def shift_unit(labels: Sequence[DirectionLabel]) -> str:
    """Return the unit that is written after shifts: σ, or nothing where directions have units of their own.

    >>> shift_unit(default_labels(2)), shift_unit(default_labels(1, [{"unit": 0.7}]))
    ('σ', '')
    """
    return "" if any("unit" in label.scores for label in labels) else "σ"


def read_names(
    path: str | os.PathLike[str], *, num_directions: int | None = None, source: str = ""
) -> dict[int, DirectionName]:
    """Return the names in a names file, by direction number.

    Args:
        path: the file.
        num_directions: if given, larger numbers are refused, because the file belongs to other directions.
        source: if given, names with another source are refused; a file without a source is accepted.

    Raises:
        InvalidArgumentError: the file is missing, is not a names file, or names a direction that does not exist.
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
            f"names file {path} was not saved by the explorer page (it lacks the format {NAMES_FORMAT!r})"
        )
    saved_for = content.get("source") or ""
    if not isinstance(saved_for, str):
        raise InvalidArgumentError(f"names file {path} has an invalid source; it must be text")
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


def _read_entry(path: str | os.PathLike[str], key: str, entry: Any) -> tuple[int, DirectionName]:
    name = entry.get("name") if isinstance(entry, dict) else None
    starred = entry.get("starred", False) if isinstance(entry, dict) else None
    is_number = key.isascii() and key.isdigit() and len(key) < 10
    if not is_number or not isinstance(name, str) or not isinstance(starred, bool) or not is_text(name):
        raise InvalidArgumentError(
            f"names file {path} has an invalid entry {key[:40]!r}; "
            'it must look like "3": {"name": "Smile", "starred": true}'
        )
    return int(key), DirectionName(name=clean_name(name), starred=starred)


def write_names(path: str | os.PathLike[str], names: Mapping[int, DirectionName], *, source: str = "") -> Path:
    """Write a names file atomically.

    Raises:
        RunFolderError: the file cannot be written.
    """
    directions = {str(index): dataclasses.asdict(names[index]) for index in sorted(names)}
    return write_json(path, {"format": NAMES_FORMAT, "source": source, "directions": directions})


def apply_names(labels: Sequence[DirectionLabel], names: Mapping[int, DirectionName]) -> list[DirectionLabel]:
    """Return the labels with the user's names and stars; labels without an entry are unchanged.

    Earlier versions also saved automatic names, with the marks of that time. These count as no name.
    """
    marks = {mark.rstrip("?") for label in labels for mark in label.marks} | {CHANCE_LEVEL}
    return [_named(label, names[label.index], marks) if label.index in names else label for label in labels]


def _named(label: DirectionLabel, given: DirectionName, marks: Set[str]) -> DirectionLabel:
    if not given.name or _is_automatic(given.name, label.name, marks):
        return dataclasses.replace(label, starred=given.starred)
    return dataclasses.replace(label, name=given.name, starred=given.starred, automatic_name=label.name)


def _is_automatic(name: str, automatic_name: str, marks: Set[str]) -> bool:
    """Whether `name` is the automatic name, alone or with marks in parentheses."""
    head, tail = f"{automatic_name} (", ")"
    if name.startswith(head) and name.endswith(tail):
        return all(mark.rstrip("?") in marks for mark in name[len(head) : -len(tail)].split(", "))
    return name == automatic_name


def is_text(name: str) -> bool:
    """Return whether `name` has no lone surrogate (JSON can encode one) and no replacement character U+FFFD."""
    return not any("\ud800" <= character <= "\udfff" or character == "\ufffd" for character in name)


def clean_name(name: str) -> str:
    """Return the name on one line, at most 200 characters.

    >>> clean_name("  Hair \\n color ")
    'Hair color'
    """
    return " ".join(name.split())[:_MAX_LENGTH]


class NamesStore:
    """The names file of a run folder, changed by any number of pages and servers at the same time.

    A change concerns one direction. It is merged into the file's current content under a file lock, which the system
    releases if its holder dies, so that no other change is lost. A file that cannot be used (damaged, too large, of
    other directions) is never modified: `read` returns no names and `change` fails until it has been moved away.

    Args:
        folder: the run folder.
        num_directions: the number of directions.
        source: a hash of the directions.
    """

    def __init__(self, folder: Path, *, num_directions: int, source: str) -> None:
        self._folder, self._num_directions, self._source = folder, num_directions, source
        self._lock = threading.Lock()
        self._warned = False

    def read(self) -> dict[int, DirectionName]:
        """Return the current names; none if the file cannot be used, with a warning the first time."""
        try:
            return self._read()
        except InvalidArgumentError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(f"{error}; until it is moved away, pages ignore it and it is not changed", stacklevel=2)
            return {}

    def change(self, index: int, name: DirectionName) -> None:
        """Save the name of one direction.

        Raises:
            RunFolderError: the file cannot be used, the folder is read-only, or the disk is full.
        """
        with self._lock, self._file_lock():
            try:
                before = self._read()
            except InvalidArgumentError as error:
                raise RunFolderError(
                    f"not saved: {error}; move that file away, or save the names with the page's button"
                ) from error
            write_names(self._folder / NAMES_FILE, {**before, index: name}, source=self._source)

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
                f"names cannot be saved in {self._folder}: {error.strerror}; save them with the page's button"
            ) from error
        try:
            if fcntl is not None:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
