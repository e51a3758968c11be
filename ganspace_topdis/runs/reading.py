"""Reading files that others wrote: JSON, TOML and lines of JSON, with bounds, and one error for all that can go wrong.

Parsers raise a dozen kinds of exceptions for a damaged file, and a few bytes can make them recurse, loop or fill
the memory. `parsing` turns whatever they raise into a `ReadingError` of one line; sizes and depths are bounded
before, so that a reader costs what an honest file of that size costs.
"""

import contextlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib  # type: ignore[import-not-found, no-redef, unused-ignore]

from ganspace_topdis.errors import TopdisError

__all__ = [
    "ReadingError",
    "parse_json",
    "parse_toml",
    "parsing",
    "read_bytes",
    "read_json",
    "read_json_lines",
    "read_toml",
    "reason_of",
]

MAX_JSON_BYTES = 16 << 20
MAX_TOML_BYTES = 256 << 10
MAX_DEPTH = 100
MAX_DOTS = 2000
_LONGEST = 200
_PIECE = 1 << 20


class ReadingError(TopdisError, ValueError):
    """A file cannot be read. The message is the reason alone, in a few words; callers add path and next step."""


def reason_of(error: BaseException) -> str:
    """Why something could not be read, on one line and not too long.

    >>> reason_of(RecursionError("maximum recursion depth exceeded")), reason_of(KeyError("a\\nb"))
    ('it is nested too deeply', "KeyError: 'a\\\\nb'")
    """
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = " ".join(str(error).split())
    if type(error) is not ValueError and not isinstance(error, TopdisError | OSError):
        said = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 3]}..."


@contextlib.contextmanager
def parsing() -> Iterator[None]:
    """Turn whatever a parser raises inside into a `ReadingError`; errors of ours pass as they are."""
    try:
        yield
    except TopdisError:
        raise
    except Exception as error:
        raise ReadingError(reason_of(error)) from error


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """The bytes of a file that has at most `limit` of them; pipes are read likewise.

    Raises:
        ReadingError: it is missing, a folder, or larger.
    """
    with parsing():
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read() if 0 < size <= limit else b"".join(_pieces(file, limit)) if size == 0 else None
        if data is None or len(data) > limit:
            raise ReadingError(f"it has more than {limit:,} bytes")
        return data


def _pieces(file: IO[bytes], limit: int) -> Iterator[bytes]:
    """What a pipe gives, up to a little more than `limit`."""
    while limit >= 0 and (piece := file.read(_PIECE)):
        limit -= len(piece)
        yield piece


def read_json(path: str | os.PathLike[str], limit: int = MAX_JSON_BYTES) -> Any:
    """The value in a JSON file; see `parse_json`.

    Raises:
        ReadingError: it cannot be read.
    """
    return parse_json(read_bytes(path, limit), limit)


def parse_json(data: bytes | str, limit: int = MAX_JSON_BYTES) -> Any:
    """The value that a JSON text of at most `limit` bytes describes.

    Half a surrogate pair, which JSON can spell and UTF-8 cannot, is read as U+FFFD.

    Raises:
        ReadingError: it is not JSON in UTF-8, nested more than 100 deep, has a key twice, or a number that is not
            finite.

    >>> parse_json('{"a": [1, 2.5], "b": "\\\\ud800"}')
    {'a': [1, 2.5], 'b': '\ufffd'}
    """
    with parsing():
        if len(data) > limit:
            raise ReadingError(f"it has more than {limit:,} bytes")
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        try:
            value = _DECODER.decode(text)
        except json.JSONDecodeError as error:
            raise ReadingError(f"it is not JSON: {error}") from error
        _check_depth(value)
        return _with_whole_letters(value) if "\\ud" in text or "\\uD" in text else value


def read_json_lines(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The JSON objects in a file of one a line, in order; a last line that was not finished is left out.

    Raises:
        ReadingError: it cannot be read, or a line is something else.
    """
    values = []
    with parsing(), Path(path).open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_JSON_BYTES), b""), 1):
            if not line.endswith(b"\n"):
                if len(line) == MAX_JSON_BYTES:
                    raise ReadingError(f"line {number} has more than {MAX_JSON_BYTES:,} bytes")
                break
            value = parse_json(line)
            if not isinstance(value, dict):
                raise ReadingError(f"line {number} is no JSON object")
            values.append(value)
    return values


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The table in a TOML file; see `parse_toml`.

    Raises:
        ReadingError: it cannot be read.
    """
    with parsing():
        return parse_toml(read_bytes(path, MAX_TOML_BYTES).decode("utf-8-sig").replace("\r\n", "\n"))


def parse_toml(text: str) -> dict[str, Any]:
    """The table that a TOML text describes.

    Raises:
        ReadingError: it is no TOML, nested more than 100 deep, or larger than any settings.
    """
    with parsing():
        if len(text) > MAX_TOML_BYTES:
            raise ReadingError(f"it has more than {MAX_TOML_BYTES:,} letters")
        if any(line.count(".") > MAX_DOTS for line in text.splitlines()):
            raise ReadingError(f"a line has more than {MAX_DOTS:,} dots")  # a dotted key takes its length squared
        try:
            value = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ReadingError(f"it is no valid TOML: {reason_of(ValueError(str(error)))}") from error
        _check_depth(value)
        return value


def _check_depth(value: Any) -> None:
    """Refuse what functions that walk through it could not walk through."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [part for item in level for part in _parts(item) if isinstance(part, dict | list)]
        if not level:
            return
    raise ReadingError(f"it is nested more than {MAX_DEPTH} deep")


def _parts(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _with_whole_letters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_with_whole_letters(key): _with_whole_letters(item) for key, item in value.items()}
    return [_with_whole_letters(item) for item in value] if isinstance(value, list) else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ReadingError("an object has a key twice")
    return made


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ReadingError("a number is not finite")
    return number


def _no_constant(name: str) -> None:
    raise ReadingError(f"it holds {name}, which JSON does not have")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
