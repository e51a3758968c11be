"""Inert values that the safe unpickler builds, and the budget that bounds their number and size.

A `Record` stands for a dictionary or for an object of any class. A `Global` stands for a class or a function that a
file names. Neither imports or calls what the file names.

A pickle can name one long string a million times or copy one long list again and again, and tensors can share one
storage. Without a budget, a file of a few kilobytes can request terabytes. A genuine pickle spends at least one byte on
each element that it makes, and turns each of its bytes into a weight once.
"""

from collections.abc import Callable, Iterable
from typing import Any

from ganspace_topdis.errors import CheckpointError

__all__ = [
    "MAX_ELEMENTS",
    "Budget",
    "Global",
    "Record",
    "damaged",
    "is_foreign",
    "is_plain_key",
    "plain_keys",
    "printable",
]

MAX_ELEMENTS = 4_000_000
"""NVIDIA's snapshots with all three networks need 0.1 million; a training file with its optimizers needs no more."""

ALLOWANCE = 65536
MAX_KEY = 1 << 60
"""Larger integers can be chosen to share one hash."""


class Budget:
    """The elements and the bytes that reading a file of `num_bytes` may still use.

    An element is an opcode, or an entry of a container that an opcode or an allowed function makes. The budget is two
    elements per byte of the file, at most `MAX_ELEMENTS`. A byte may become two (half precision is read as single),
    and may be copied once on the way.
    """

    def __init__(self, num_bytes: int) -> None:
        self.elements_left = min(MAX_ELEMENTS, 2 * num_bytes + ALLOWANCE)
        self.bytes_left = 4 * num_bytes + ALLOWANCE

    def spend_elements(self, num_elements: int = 1) -> None:
        """Count elements that are about to be made.

        Raises:
            CheckpointError: the file makes more elements than its size explains.
        """
        self.elements_left -= num_elements
        if self.elements_left < 0:
            raise CheckpointError("it makes many times the elements that a checkpoint of its size has; it is refused")

    def spend_bytes(self, num_bytes: int) -> None:
        """Count bytes that are about to be allocated.

        Raises:
            CheckpointError: the file requests more memory than its size explains.
        """
        self.bytes_left -= num_bytes
        if self.bytes_left < 0:
            raise CheckpointError("its tensors take many times the bytes that the file holds; it is refused")


class Record(dict[Any, Any]):
    """A dictionary, or an inert stand-in for an object: `name` of its class, `args`, and the `state` put on it."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str = "dict", args: tuple[Any, ...] = ()) -> None:
        super().__init__()
        self.name, self.args = name, args
        self.state: Any = None


class Global:
    """A class or function that a file names. `make` builds an inert value; None builds a `Record` of that name."""

    __slots__ = ("make", "name")

    def __init__(self, name: str, make: Callable[..., Any] | None) -> None:
        self.name, self.make = name, make

    def __call__(self, *args: Any) -> Any:
        """Return the inert value for these arguments."""
        return Record(self.name, args) if self.make is None else self.make(*args)


def is_plain_key(key: Any) -> bool:
    """Whether `key` is text or a whole number. Dictionaries and sets drop all other keys."""
    return isinstance(key, str) or (isinstance(key, int) and -MAX_KEY < key < MAX_KEY)


def plain_keys(values: Iterable[Any]) -> set[Any]:
    """Return the text and the whole numbers among `values`."""
    return {value for value in values if is_plain_key(value)}


def is_foreign(value: Any) -> bool:
    """Whether `value` is an inert stand-in for an object of an unknown class."""
    return isinstance(value, Global) or (isinstance(value, Record) and value.name != "dict")


def printable(text: object) -> str:
    """Return text from a file, or the name of a value's class, made safe to print on one line."""
    if isinstance(text, Global | Record) and is_foreign(text):
        text = text.name
    shown = text if isinstance(text, str) else f"<{type(text).__name__}>"
    return "".join(letter if letter.isprintable() else "?" for letter in shown[:80])


def damaged(reason: str) -> CheckpointError:
    """Return the error for a file whose structure is broken."""
    return CheckpointError(f"the file is damaged or is not a checkpoint ({reason}); fetch it again")
