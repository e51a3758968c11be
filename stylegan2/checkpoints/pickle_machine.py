"""A reader of the pickle format that builds plain values and never runs anything.

Python's own unpickler imports whatever a file names and calls it. This machine knows the opcodes of protocols 2
to 5 (Lib/pickletools.py of CPython documents them) and only these values: None, numbers, text, views of the
file's bytes, tuples, lists, sets, `Record`s and what the functions of an allowlist make of them. A global that
is not on the allowlist is refused by name. Steps and bytes are limited by a `Budget`, dictionary keys to text
and whole numbers (hashing a nested key can take for ever), and byte strings are not copied.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any

from ganspace_topdis.errors import CheckpointError
from stylegan2.checkpoints.budget import Budget

__all__ = ["Allowed", "PickleMachine", "Record", "damaged", "printable"]

MAX_INTEGER_BYTES = 64


class Record(dict[Any, Any]):
    """A dictionary, or an inert stand-in for an object: `name` of its class, `args`, and the `state` put on it."""

    def __init__(self, name: str = "dict", args: tuple[Any, ...] = ()) -> None:
        super().__init__()
        self.name, self.args = name, args
        self.state: Any = None


Allowed = Mapping[str, Callable[..., Any]]
"""What a file may name: "module.name" and the function that makes an inert value of the arguments."""


class _Global:
    """A name on the allowlist, waiting for its arguments."""

    def __init__(self, name: str, make: Callable[..., Any]) -> None:
        self.name, self.make = name, make


_MARK = object()


def printable(text: object) -> str:
    """Text out of a file, made safe to print on one line."""
    shown = text if isinstance(text, str) else f"<{type(text).__name__}>"
    return "".join(letter if letter.isprintable() else "?" for letter in shown[:80])


def damaged(what: str) -> CheckpointError:
    """The error for a file whose structure is broken."""
    return CheckpointError(f"the file is damaged or no checkpoint ({what}); fetch it again")


class PickleMachine:
    """Reads the pickle at `position` of `data`; afterwards `position` is the byte after its end.

    Args:
        data: the file's bytes.
        allowed: the globals that the file may name.
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
            CheckpointError: the pickle is damaged, takes too much, or names something that is not allowed.
        """
        try:
            if self._take(1)[0] != 0x80 or self._unsigned(1) not in (2, 3, 4, 5):
                raise damaged("no pickle of protocol 2 to 5")
            while (code := self._take(1)[0]) != _STOP:
                self.budget.step()
                operation = _OPERATIONS.get(code)
                if operation is None:
                    raise damaged(f"pickle opcode 0x{code:02x} has no place in a checkpoint")
                operation(self)
            value = self._pop()
            if self.stack:
                raise damaged("values left over at the pickle's end")
            return value
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error) as error:
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
        end = bytes(self.data[self.position : self.position + 256]).find(b"\n")
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
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_plain(key)] = value

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
        self.stack.append(str(piece, "utf-8", "surrogatepass"))

    def read_byte_text(self, size: int) -> None:
        """BINSTRING, SHORT_BINSTRING: text of Python 2."""
        piece = self._take(self._unsigned(size))
        self.budget.take(len(piece))
        self.stack.append(str(piece, "latin-1"))

    def find_global(self, module: Any, name: Any) -> None:
        """GLOBAL, STACK_GLOBAL: look a name up on the allowlist."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise damaged("a global that is no text")
        full = f"{module.replace('__builtin__', 'builtins')}.{name}"
        make = self.allowed.get(full)
        if make is None:
            raise CheckpointError(
                f"the file asks for {printable(full)}, which no checkpoint needs; it is refused and nothing was run"
            )
        self.stack.append(_Global(full, make))

    def call(self, args: Any, kwargs: Any = None) -> None:
        """REDUCE, NEWOBJ, NEWOBJ_EX: give a global its arguments."""
        target = self._pop()
        if not isinstance(target, _Global) or not isinstance(args, tuple) or kwargs:
            raise damaged("a call of something that is no allowed global")
        self.stack.append(target.make(*args))

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
        self._top(list).extend(values)

    def append_one(self) -> None:
        """APPEND: one more item of a list."""
        value = self._pop()
        self._top(list).append(value)

    def set_one(self) -> None:
        """SETITEM: one more item of a dictionary."""
        value, key = self._pop(), self._pop()
        self._pair_up([key, value])

    def add_items(self) -> None:
        """ADDITEMS: extend a set."""
        values = self._pop_to_mark()
        self._top(set).update(map(_plain, values))

    def make_dict(self) -> None:
        """DICT: a dictionary of what lies above the mark."""
        values = self._pop_to_mark()
        self.stack.append(Record())
        self._pair_up(values)

    def make_tuple(self, count: int) -> None:
        """TUPLE1 to TUPLE3."""
        self.stack.append(tuple(reversed([self._pop() for _ in range(count)])))

    def resolve_persistent(self) -> None:
        """BINPERSID: a value that the container keeps elsewhere."""
        if self.persistent is None:
            raise damaged("a persistent id where none belongs")
        self.stack.append(self.persistent(self._pop()))


def _plain(key: Any) -> Any:
    if not isinstance(key, str | int):
        raise damaged("a key that is neither text nor a whole number")
    return key


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
    0x8F: lambda machine: machine.stack.append(set()),
    ord(")"): _constant(()),
    ord("l"): lambda machine: machine.stack.append(machine._pop_to_mark()),
    ord("d"): lambda machine: machine.make_dict(),
    ord("t"): lambda machine: machine.stack.append(tuple(machine._pop_to_mark())),
    0x91: lambda machine: machine.stack.append(set(map(_plain, machine._pop_to_mark()))),  # FROZENSET
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
