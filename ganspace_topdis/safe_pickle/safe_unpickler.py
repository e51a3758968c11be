"""A pickle reader that builds plain values and never executes anything.

Python's own unpickler imports and calls whatever a file names. This reader knows the opcodes of protocols 2 to 5
(documented in CPython's Lib/pickletools.py) and builds only None, numbers, text, views of the file's bytes, tuples,
lists, sets, `Record`s, and the results of an allowlist's functions. Any other global becomes a `Record` of its name:
files hold discriminators, optimizers and settings of any class, and the weights need none of them.

Every element counts against a `Budget`. Dictionary keys and set members are text and whole numbers; others are
dropped, because hashing them can take unbounded time. Byte strings are not copied.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ganspace_topdis.errors import CheckpointError, TopdisError
from ganspace_topdis.safe_pickle.records import (
    Budget,
    Global,
    Record,
    damaged,
    is_foreign,
    is_plain_key,
    plain_keys,
)

__all__ = ["Allowlist", "SafeUnpickler"]

MAX_INTEGER_BYTES = 64
MAX_NAME_LETTERS = 256
MAX_OTHER_TEXT = 1 << 20
"""Longer text holds bytes, as protocol 2 writes them, and no letter above U+00FF."""

Allowlist = Mapping[str, Callable[..., Any]]
"""The globals that a file may use: "module.name" and the function that makes an inert value from the arguments."""

_MARK = object()


class SafeUnpickler:
    """Reads the pickle at `position` of `data`, and moves `position` to the byte after its end.

    Args:
        data: the file's bytes.
        allowed: the globals that become something other than a `Record` of their name.
        budget: the limit on elements and bytes.
        persistent: resolves a persistent id; None: the pickle must not contain any.
        position: where the pickle starts.
    """

    def __init__(
        self,
        data: memoryview,
        allowed: Allowlist,
        budget: Budget,
        persistent: Callable[[Any], Any] | None = None,
        position: int = 0,
    ) -> None:
        self.data, self.allowed, self.budget = data, allowed, budget
        self.persistent, self.position = persistent, position
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Return the value that the pickle describes.

        Raises:
            CheckpointError: the pickle is damaged, or exceeds the budget.
        """
        try:
            if self._take(1)[0] != 0x80 or self._unsigned(1) not in (2, 3, 4, 5):
                raise damaged("not a pickle of protocol 2 to 5")
            while (code := self._take(1)[0]) != _STOP:
                self.budget.spend_elements()
                operation = _OPERATIONS.get(code)
                if operation is None:
                    raise damaged(f"pickle opcode 0x{code:02x} does not belong in a checkpoint")
                operation(self)
            value = self._pop()
            if self.stack:
                raise damaged("values left over at the pickle's end")
            return value
        except TopdisError:
            raise
        except MemoryError as error:
            raise CheckpointError("reading this file takes more memory than there is") from error
        except Exception as error:  # an opcode can fail in any way on a damaged file
            raise damaged(f"{type(error).__name__} near byte {self.position:,}") from error

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

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise damaged("a mark in place of a value")
        return value

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise damaged(f"a {kind.__name__} is missing")
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
        self.budget.spend_elements(len(values))
        for key, value in zip(values[::2], values[1::2], strict=True):
            if is_plain_key(key):
                target[key] = value

    def read_integer(self, size: int) -> None:
        """LONG1, LONG4: a signed integer whose length is stored in `size` bytes."""
        count = self._unsigned(size)
        piece = self._take(count)
        fits = count <= MAX_INTEGER_BYTES
        self.stack.append(int.from_bytes(piece, "little", signed=True) if fits else Record("integer"))

    def read_text(self, size: int) -> None:
        """BINUNICODE and its short and long forms."""
        piece = self._take(self._unsigned(size))
        self.budget.spend_bytes(len(piece))
        if len(piece) > MAX_OTHER_TEXT and np.frombuffer(piece, np.uint8).max() > 0xC3:
            raise damaged("a text that is too long")
        self.stack.append(str(piece, "utf-8", "surrogatepass"))

    def read_byte_text(self, size: int) -> None:
        """BINSTRING, SHORT_BINSTRING: text of Python 2."""
        piece = self._take(self._unsigned(size))
        self.budget.spend_bytes(len(piece))
        self.stack.append(str(piece, "latin-1"))

    def find_global(self, module: Any, name: Any) -> None:
        """GLOBAL, STACK_GLOBAL: look a name up in the allowlist. Other names make inert records."""
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > MAX_NAME_LETTERS:
            raise damaged("a global without a name")
        full = f"{module.replace('__builtin__', 'builtins')}.{name}"
        self.stack.append(Global(full, self._allowed(full)))

    def _allowed(self, full: str) -> Callable[..., Any] | None:
        """Look up a name, also where a project keeps copied modules inside its own package."""
        return self.allowed.get(full) or self.allowed.get(".".join(full.split(".")[-3:]))

    def call(self, args: Any, kwargs: Any = None) -> None:
        """REDUCE, NEWOBJ, NEWOBJ_EX: call a global with its arguments."""
        target = self._pop()
        if not isinstance(args, tuple):
            raise damaged("a call without arguments")
        self.budget.spend_elements(len(args))
        if isinstance(target, Record) and target.name != "dict":  # for example a method of an unknown object
            self.stack.append(Record(target.name, args))
        elif isinstance(target, Global) and (not kwargs or target.make is None):
            self.stack.append(target(*args))
        else:
            raise damaged("a call of a value that is not a global")

    def build(self) -> None:
        """BUILD: put a state on an inert object."""
        state = self._pop()
        self._top(Record).state = state

    def put(self, index: int) -> None:
        """BINPUT, LONG_BINPUT, MEMOIZE: store the top value in the memo."""
        self.memo[index] = self.stack[-1]

    def append_all(self) -> None:
        """APPENDS: extend a list."""
        values = self._pop_to_mark()
        self.budget.spend_elements(len(values))
        if not is_foreign(self.stack[-1]):
            self._top(list).extend(values)

    def append_one(self) -> None:
        """APPEND: add one item to a list."""
        value = self._pop()
        if not is_foreign(self.stack[-1]):
            self._top(list).append(value)

    def set_one(self) -> None:
        """SETITEM: add one item to a dictionary."""
        value, key = self._pop(), self._pop()
        self._pair_up([key, value])

    def add_items(self) -> None:
        """ADDITEMS: extend a set."""
        values = self._pop_to_mark()
        self.budget.spend_elements(len(values))
        if not is_foreign(self.stack[-1]):
            self._top(set).update(plain_keys(values))

    def make_set(self) -> None:
        """EMPTY_SET: takes as much memory as four other elements."""
        self.budget.spend_elements(3)
        self.stack.append(set())

    def make_dict(self) -> None:
        """DICT: a dictionary of the values above the mark."""
        values = self._pop_to_mark()
        self.stack.append(Record())
        self._pair_up(values)

    def make_of_marked(self, kind: Callable[[list[Any]], Any]) -> None:
        """LIST, TUPLE, FROZENSET: a container of the values above the mark."""
        values = self._pop_to_mark()
        self.budget.spend_elements(len(values))
        self.stack.append(kind(values))

    def make_tuple(self, count: int) -> None:
        """TUPLE1 to TUPLE3."""
        self.stack.append(tuple(reversed([self._pop() for _ in range(count)])))

    def resolve_persistent(self) -> None:
        """BINPERSID: a value that the container stores outside the pickle."""
        if self.persistent is None:
            raise damaged("an unexpected persistent id")
        self.stack.append(self.persistent(self._pop()))


def _constant(value: Any) -> Callable[[SafeUnpickler], None]:
    return lambda reader: reader.stack.append(value)


def _number(form: str) -> Callable[[SafeUnpickler], None]:
    layout = struct.Struct(form)
    return lambda reader: reader.stack.append(layout.unpack(reader._take(layout.size))[0])


def _buffer(size: int) -> Callable[[SafeUnpickler], None]:
    return lambda reader: reader.stack.append(reader._take(reader._unsigned(size)))


def _stack_global(reader: SafeUnpickler) -> None:
    name, module = reader._pop(), reader._pop()
    reader.find_global(module, name)


def _new_object_with_keywords(reader: SafeUnpickler) -> None:
    kwargs, args = reader._pop(), reader._pop()
    reader.call(args, kwargs)


_STOP = ord(".")
_OPERATIONS: dict[int, Callable[[SafeUnpickler], Any]] = {
    0x80: lambda reader: reader._take(1),  # PROTO
    0x95: lambda reader: reader._take(8),  # FRAME
    ord("("): _constant(_MARK),
    ord("0"): lambda reader: reader.stack.pop(),  # POP
    ord("1"): lambda reader: reader._pop_to_mark(),  # POP_MARK
    ord("2"): lambda reader: reader.stack.append(reader.stack[-1]),  # DUP
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("J"): _number("<i"),
    ord("K"): _number("<B"),
    ord("M"): _number("<H"),
    ord("G"): _number(">d"),
    0x8A: lambda reader: reader.read_integer(1),
    0x8B: lambda reader: reader.read_integer(4),
    ord("X"): lambda reader: reader.read_text(4),
    0x8C: lambda reader: reader.read_text(1),
    0x8D: lambda reader: reader.read_text(8),
    ord("T"): lambda reader: reader.read_byte_text(4),
    ord("U"): lambda reader: reader.read_byte_text(1),
    ord("B"): _buffer(4),
    ord("C"): _buffer(1),
    0x8E: _buffer(8),
    0x96: _buffer(8),  # BYTEARRAY8
    ord("]"): lambda reader: reader.stack.append([]),
    ord("}"): lambda reader: reader.stack.append(Record()),
    0x8F: lambda reader: reader.make_set(),
    ord(")"): _constant(()),
    ord("l"): lambda reader: reader.make_of_marked(list),
    ord("d"): lambda reader: reader.make_dict(),
    ord("t"): lambda reader: reader.make_of_marked(tuple),
    0x91: lambda reader: reader.make_of_marked(plain_keys),  # FROZENSET
    0x85: lambda reader: reader.make_tuple(1),
    0x86: lambda reader: reader.make_tuple(2),
    0x87: lambda reader: reader.make_tuple(3),
    ord("a"): lambda reader: reader.append_one(),
    ord("e"): lambda reader: reader.append_all(),
    ord("s"): lambda reader: reader.set_one(),
    ord("u"): lambda reader: reader._pair_up(reader._pop_to_mark()),
    0x90: lambda reader: reader.add_items(),
    ord("c"): lambda reader: reader.find_global(reader._line(), reader._line()),
    0x93: _stack_global,
    ord("R"): lambda reader: reader.call(reader._pop()),
    0x81: lambda reader: reader.call(reader._pop()),  # NEWOBJ
    0x92: _new_object_with_keywords,
    ord("b"): lambda reader: reader.build(),
    ord("q"): lambda reader: reader.put(reader._unsigned(1)),
    ord("r"): lambda reader: reader.put(reader._unsigned(4)),
    0x94: lambda reader: reader.put(len(reader.memo)),  # MEMOIZE
    ord("h"): lambda reader: reader.stack.append(reader.memo[reader._unsigned(1)]),
    ord("j"): lambda reader: reader.stack.append(reader.memo[reader._unsigned(4)]),
    ord("Q"): lambda reader: reader.resolve_persistent(),
}
