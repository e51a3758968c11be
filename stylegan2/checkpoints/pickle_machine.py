"""A reader of the pickle format that builds plain values and never runs anything.

Python's own unpickler imports whatever a file names and calls it. This machine knows the opcodes of protocols 2
to 5 (Lib/pickletools.py of CPython documents them) and only these values: None, numbers, text, views of the
file's bytes, tuples, lists, sets, `Record`s and what the functions of an allowlist make of them. Any other global
becomes a `Record` of that name: files hold discriminators, optimizers and settings of any class, none of which the
generator needs. Every element that is made counts against a `Budget`. Keys of dictionaries and members of sets are
text and whole numbers; others are left out, as hashing one can take for ever. Byte strings are not copied.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ganspace_topdis.errors import CheckpointError, TopdisError
from stylegan2.checkpoints.budget import Budget

__all__ = [
    "Allowed",
    "Global",
    "PickleMachine",
    "Record",
    "damaged",
    "is_foreign",
    "is_plain",
    "plain_keys",
    "printable",
]

MAX_INTEGER_BYTES = 64
MAX_NAME_LETTERS = 256
MAX_KEY = 1 << 60
"""Larger whole numbers can be made to share one hash."""
MAX_OTHER_TEXT = 1 << 20
"""Longer text than this is bytes in disguise, as protocol 2 writes them, with no letter above U+00FF."""


class Record(dict[Any, Any]):
    """A dictionary, or an inert stand-in for an object: `name` of its class, `args`, and the `state` put on it."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str = "dict", args: tuple[Any, ...] = ()) -> None:
        super().__init__()
        self.name, self.args = name, args
        self.state: Any = None


Allowed = Mapping[str, Callable[..., Any]]
"""What a file may name: "module.name" and the function that makes an inert value of the arguments."""


class Global:
    """A name in a file, waiting for its arguments; `make` is None for one that only makes records."""

    __slots__ = ("make", "name")

    def __init__(self, name: str, make: Callable[..., Any] | None) -> None:
        self.name, self.make = name, make

    def __call__(self, *args: Any) -> Any:
        """The inert value that is made of the arguments."""
        return Record(self.name, args) if self.make is None else self.make(*args)


_MARK = object()


def is_plain(key: Any) -> bool:
    """Whether `key` is text or a whole number: others are left out of dictionaries and sets."""
    return isinstance(key, str) or (isinstance(key, int) and -MAX_KEY < key < MAX_KEY)


def plain_keys(values: Iterable[Any]) -> set[Any]:
    """The text and the whole numbers among `values`."""
    return {value for value in values if is_plain(value)}


def is_foreign(value: Any) -> bool:
    """Whether `value` is an inert stand-in for an object of a class that is not known here."""
    return isinstance(value, Global) or (isinstance(value, Record) and value.name != "dict")


def printable(text: object) -> str:
    """Text out of a file, or the name of what it is instead, made safe to print on one line."""
    if isinstance(text, Global | Record) and is_foreign(text):
        text = text.name
    shown = text if isinstance(text, str) else f"<{type(text).__name__}>"
    return "".join(letter if letter.isprintable() else "?" for letter in shown[:80])


def damaged(what: str) -> CheckpointError:
    """The error for a file whose structure is broken."""
    return CheckpointError(f"the file is damaged or no checkpoint ({what}); fetch it again")


class PickleMachine:
    """Reads the pickle at `position` of `data`; afterwards `position` is the byte after its end.

    Args:
        data: the file's bytes.
        allowed: the globals that are made into something else than a `Record` of their name.
        budget: what reading may cost.
        persistent: what makes a value of a persistent id; None: there may be none.
        position: where the pickle starts.
    """

    def __init__(
        self,
        data: memoryview,
        allowed: Allowed,
        budget: Budget,
        persistent: Callable[[Any], Any] | None = None,
        position: int = 0,
    ) -> None:
        self.data, self.allowed, self.budget = data, allowed, budget
        self.persistent, self.position = persistent, position
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value that the pickle describes.

        Raises:
            CheckpointError: the pickle is damaged or takes too much.
        """
        try:
            if self._take(1)[0] != 0x80 or self._unsigned(1) not in (2, 3, 4, 5):
                raise damaged("no pickle of protocol 2 to 5")
            while (code := self._take(1)[0]) != _STOP:
                self.budget.count()
                operation = _OPERATIONS.get(code)
                if operation is None:
                    raise damaged(f"pickle opcode 0x{code:02x} has no place in a checkpoint")
                operation(self)
            value = self._pop()
            if self.stack:
                raise damaged("values left over at the pickle's end")
            return value
        except TopdisError:
            raise
        except MemoryError as error:
            raise CheckpointError("it takes more memory than there is to read this file") from error
        except Exception as error:  # whatever an opcode meets in a damaged file
            raise damaged(f"{type(error).__name__} near byte {self.position:,}") from error

    # Reading bytes

    def _take(self, count: int) -> memoryview:
        piece = self.data[self.position : self.position + count]
        if count < 0 or len(piece) != count:
            raise damaged("it ends too early")
        self.position += count
        return piece

    def _unsigned(self, count: int) -> int:
        return int.from_bytes(self._take(count), "little")

    def _line(self) -> str:
        end = bytes(self.data[self.position : self.position + MAX_NAME_LETTERS]).find(b"\n")
        if end < 0:
            raise damaged("a name without an end")
        line = str(self._take(end), "utf-8")
        self.position += 1
        return line

    # Working on the stack

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise damaged("a mark in place of a value")
        return value

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise damaged(f"no {kind.__name__} where one is filled")
        return self.stack[-1]

    def _pop_to_mark(self) -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                values = self.stack[index + 1 :]
                del self.stack[index:]
                return values
        raise damaged("a mark is missing")

    def _pair_up(self, values: list[Any]) -> None:
        target = self._top(Record)
        if len(values) % 2:
            raise damaged("a key without a value")
        self.budget.count(len(values))
        for key, value in zip(values[::2], values[1::2], strict=True):
            if is_plain(key):
                target[key] = value

    # Opcodes that need more than a line

    def read_integer(self, size: int) -> None:
        """LONG1, LONG4: a signed integer of as many bytes as `size` bytes say."""
        count = self._unsigned(size)
        if count > MAX_INTEGER_BYTES:
            raise damaged("an integer of absurd length")
        self.stack.append(int.from_bytes(self._take(count), "little", signed=True))

    def read_text(self, size: int) -> None:
        """BINUNICODE and its short and long forms."""
        piece = self._take(self._unsigned(size))
        self.budget.take(len(piece))
        if len(piece) > MAX_OTHER_TEXT and np.frombuffer(piece, np.uint8).max() > 0xC3:
            raise damaged("a text of absurd length")
        self.stack.append(str(piece, "utf-8", "surrogatepass"))

    def read_byte_text(self, size: int) -> None:
        """BINSTRING, SHORT_BINSTRING: text of Python 2."""
        piece = self._take(self._unsigned(size))
        self.budget.take(len(piece))
        self.stack.append(str(piece, "latin-1"))

    def find_global(self, module: Any, name: Any) -> None:
        """GLOBAL, STACK_GLOBAL: look a name up on the allowlist; one that is not there makes inert records."""
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > MAX_NAME_LETTERS:
            raise damaged("a global that is no name")
        full = f"{module.replace('__builtin__', 'builtins')}.{name}"
        self.stack.append(Global(full, self._allowed(full)))

    def _allowed(self, full: str) -> Callable[..., Any] | None:
        """What the allowlist makes of a name, also where a project keeps NVIDIA's modules in a package of its own."""
        return self.allowed.get(full) or self.allowed.get(".".join(full.split(".")[-3:]))

    def call(self, args: Any, kwargs: Any = None) -> None:
        """REDUCE, NEWOBJ, NEWOBJ_EX: give a global its arguments."""
        target = self._pop()
        if not isinstance(args, tuple):
            raise damaged("a call without arguments")
        self.budget.count(len(args))
        if isinstance(target, Record) and target.name != "dict":  # a method of an unknown object, say
            self.stack.append(Record(target.name, args))
        elif isinstance(target, Global) and (not kwargs or target.make is None):
            self.stack.append(target(*args))
        else:
            raise damaged("a call of something that is no global")

    def build(self) -> None:
        """BUILD: put a state on an inert object."""
        state = self._pop()
        self._top(Record).state = state

    def put(self, index: int) -> None:
        """BINPUT, LONG_BINPUT, MEMOIZE: remember the top value."""
        self.memo[index] = self.stack[-1]

    def append_all(self) -> None:
        """APPENDS: extend a list."""
        values = self._pop_to_mark()
        self.budget.count(len(values))
        if not is_foreign(self.stack[-1]):
            self._top(list).extend(values)

    def append_one(self) -> None:
        """APPEND: one more item of a list."""
        value = self._pop()
        if not is_foreign(self.stack[-1]):
            self._top(list).append(value)

    def set_one(self) -> None:
        """SETITEM: one more item of a dictionary."""
        value, key = self._pop(), self._pop()
        self._pair_up([key, value])

    def add_items(self) -> None:
        """ADDITEMS: extend a set."""
        values = self._pop_to_mark()
        self.budget.count(len(values))
        if not is_foreign(self.stack[-1]):
            self._top(set).update(plain_keys(values))

    def make_set(self) -> None:
        """EMPTY_SET, which takes as much memory as four other elements."""
        self.budget.count(3)
        self.stack.append(set())

    def make_dict(self) -> None:
        """DICT: a dictionary of what lies above the mark."""
        values = self._pop_to_mark()
        self.stack.append(Record())
        self._pair_up(values)

    def make_of_marked(self, kind: Callable[[list[Any]], Any]) -> None:
        """LIST, TUPLE, FROZENSET: a container of what lies above the mark."""
        values = self._pop_to_mark()
        self.budget.count(len(values))
        self.stack.append(kind(values))

    def make_tuple(self, count: int) -> None:
        """TUPLE1 to TUPLE3."""
        self.stack.append(tuple(reversed([self._pop() for _ in range(count)])))

    def resolve_persistent(self) -> None:
        """BINPERSID: a value that the container keeps elsewhere."""
        if self.persistent is None:
            raise damaged("a persistent id where none belongs")
        self.stack.append(self.persistent(self._pop()))


def _constant(value: Any) -> Callable[[PickleMachine], None]:
    return lambda machine: machine.stack.append(value)


def _number(form: str) -> Callable[[PickleMachine], None]:
    layout = struct.Struct(form)
    return lambda machine: machine.stack.append(layout.unpack(machine._take(layout.size))[0])


def _buffer(size: int) -> Callable[[PickleMachine], None]:
    return lambda machine: machine.stack.append(machine._take(machine._unsigned(size)))


def _stack_global(machine: PickleMachine) -> None:
    name, module = machine._pop(), machine._pop()
    machine.find_global(module, name)


def _new_object_with_keywords(machine: PickleMachine) -> None:
    kwargs, args = machine._pop(), machine._pop()
    machine.call(args, kwargs)


_STOP = ord(".")
_OPERATIONS: dict[int, Callable[[PickleMachine], Any]] = {
    0x80: lambda machine: machine._take(1),  # PROTO
    0x95: lambda machine: machine._take(8),  # FRAME
    ord("("): _constant(_MARK),
    ord("0"): lambda machine: machine.stack.pop(),  # POP
    ord("1"): lambda machine: machine._pop_to_mark(),  # POP_MARK
    ord("2"): lambda machine: machine.stack.append(machine.stack[-1]),  # DUP
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("J"): _number("<i"),
    ord("K"): _number("<B"),
    ord("M"): _number("<H"),
    ord("G"): _number(">d"),
    0x8A: lambda machine: machine.read_integer(1),
    0x8B: lambda machine: machine.read_integer(4),
    ord("X"): lambda machine: machine.read_text(4),
    0x8C: lambda machine: machine.read_text(1),
    0x8D: lambda machine: machine.read_text(8),
    ord("T"): lambda machine: machine.read_byte_text(4),
    ord("U"): lambda machine: machine.read_byte_text(1),
    ord("B"): _buffer(4),
    ord("C"): _buffer(1),
    0x8E: _buffer(8),
    0x96: _buffer(8),  # BYTEARRAY8
    ord("]"): lambda machine: machine.stack.append([]),
    ord("}"): lambda machine: machine.stack.append(Record()),
    0x8F: lambda machine: machine.make_set(),
    ord(")"): _constant(()),
    ord("l"): lambda machine: machine.make_of_marked(list),
    ord("d"): lambda machine: machine.make_dict(),
    ord("t"): lambda machine: machine.make_of_marked(tuple),
    0x91: lambda machine: machine.make_of_marked(plain_keys),  # FROZENSET
    0x85: lambda machine: machine.make_tuple(1),
    0x86: lambda machine: machine.make_tuple(2),
    0x87: lambda machine: machine.make_tuple(3),
    ord("a"): lambda machine: machine.append_one(),
    ord("e"): lambda machine: machine.append_all(),
    ord("s"): lambda machine: machine.set_one(),
    ord("u"): lambda machine: machine._pair_up(machine._pop_to_mark()),
    0x90: lambda machine: machine.add_items(),
    ord("c"): lambda machine: machine.find_global(machine._line(), machine._line()),
    0x93: _stack_global,
    ord("R"): lambda machine: machine.call(machine._pop()),
    0x81: lambda machine: machine.call(machine._pop()),  # NEWOBJ
    0x92: _new_object_with_keywords,
    ord("b"): lambda machine: machine.build(),
    ord("q"): lambda machine: machine.put(machine._unsigned(1)),
    ord("r"): lambda machine: machine.put(machine._unsigned(4)),
    0x94: lambda machine: machine.put(len(machine.memo)),  # MEMOIZE
    ord("h"): lambda machine: machine.stack.append(machine.memo[machine._unsigned(1)]),
    ord("j"): lambda machine: machine.stack.append(machine.memo[machine._unsigned(4)]),
    ord("Q"): lambda machine: machine.resolve_persistent(),
}
