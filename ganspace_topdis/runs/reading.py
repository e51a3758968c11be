"""The policy for files from untrusted sources, and its readers for JSON and TOML.

1. Nothing in a file is executed: no pickle, no class or plug-in that a file names.
2. Time and memory are bounded by the size of the file: lengths, depths and shapes are checked before they are used.
3. Any failure of a parser becomes one typed error with a message of one line: `parsing` converts whatever is raised
   inside it to a `ReadingError`.

Arrays and zip archives are read by `runs.archives`, tensors by `runs.checksummed`, under the same policy.
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
    "read_toml",
    "reason_of",
]

MAX_JSON_BYTES = 16 << 20
MAX_TOML_BYTES = 256 << 10
MAX_DEPTH = 100
MAX_DOTS = 2000
_MAX_REASON_LENGTH = 200
_BLOCK_BYTES = 1 << 20


class ReadingError(TopdisError, ValueError):
    """A file cannot be read. The message holds only the reason; callers add the path and the next step."""


def reason_of(error: BaseException) -> str:
    """Return why a file could not be read, on one line of at most 200 characters.

    >>> reason_of(RecursionError("maximum recursion depth exceeded")), reason_of(KeyError("a\\nb"))
    ('it is nested too deeply', "KeyError: 'a\\\\nb'")
    """
    if isinstance(error, MemoryError):
        return "it needs more memory than is available"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    message = " ".join(str(error).split())
    if type(error) is not ValueError and not isinstance(error, TopdisError | OSError):
        message = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return message if len(message) <= _MAX_REASON_LENGTH else f"{message[: _MAX_REASON_LENGTH - 3]}..."


@contextlib.contextmanager
def parsing() -> Iterator[None]:
    """Convert any exception raised inside to a `ReadingError`, except a `TopdisError`."""
    try:
        yield
    except TopdisError:
        raise
    except Exception as error:
        raise ReadingError(reason_of(error)) from error


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the contents of a file or pipe of at most `limit` bytes.

    Raises:
        ReadingError: the file is missing, a folder, or larger.
    """
    with parsing():
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read() if 0 < size <= limit else b"".join(_blocks(file, limit)) if size == 0 else None
        if data is None or len(data) > limit:
            raise ReadingError(f"it has more than {limit:,} bytes")
        return data


def _blocks(file: IO[bytes], limit: int) -> Iterator[bytes]:
    """Yield the contents of a pipe until more than `limit` bytes have been read."""
    while limit >= 0 and (block := file.read(_BLOCK_BYTES)):
        limit -= len(block)
        yield block


def read_json(path: str | os.PathLike[str], limit: int = MAX_JSON_BYTES) -> Any:
    """Return the value in a JSON file; see `parse_json`.

    Raises:
        ReadingError: the file cannot be read.
    """
    return parse_json(read_bytes(path, limit), limit)


def parse_json(data: bytes | str, limit: int = MAX_JSON_BYTES) -> Any:
    """Parse a JSON text of at most `limit` bytes.

    An unpaired surrogate, which JSON can express and UTF-8 cannot, becomes U+FFFD.

    Raises:
        ReadingError: the text is not JSON in UTF-8, is nested more than 100 levels deep, or has a duplicate key or
            a number that is not finite.

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
        return _replace_surrogates(value) if "\\ud" in text or "\\uD" in text else value


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the table in a TOML file; see `parse_toml`.

    Raises:
        ReadingError: the file cannot be read.
    """
    with parsing():
        return parse_toml(read_bytes(path, MAX_TOML_BYTES).decode("utf-8-sig").replace("\r\n", "\n"))


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a TOML text.

    Raises:
        ReadingError: the text is not TOML, is nested more than 100 levels deep, or has more than 256 K characters.
    """
    with parsing():
        if len(text) > MAX_TOML_BYTES:
            raise ReadingError(f"it has more than {MAX_TOML_BYTES:,} characters")
        if any(line.count(".") > MAX_DOTS for line in text.splitlines()):
            raise ReadingError(f"a line has more than {MAX_DOTS:,} dots")  # parsing a dotted key takes quadratic time
        try:
            value = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ReadingError(f"it is not valid TOML: {reason_of(ValueError(str(error)))}") from error
        _check_depth(value)
        return value


def _check_depth(value: Any) -> None:
    """Refuse values so deep that recursive functions would fail on them."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item) if isinstance(child, dict | list)]
        if not level:
            return
    raise ReadingError(f"it is nested more than {MAX_DEPTH} deep")


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _replace_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_replace_surrogates(key): _replace_surrogates(item) for key, item in value.items()}
    return [_replace_surrogates(item) for item in value] if isinstance(value, list) else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ReadingError("an object has a duplicate key")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ReadingError("a number is not finite")
    return number


def _no_constant(name: str) -> None:
    raise ReadingError(f"it contains {name}, which is not valid JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
