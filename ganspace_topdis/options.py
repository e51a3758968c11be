"""Options, each declared once: a field of a frozen dataclass with its type, default, limits, unit and one line of help.

    class Options(Settings):
        steps: int = option(100, help="Optimization steps.", minimum=0)
        search: DiscoverySettings = nested(DiscoverySettings)

Everything else is derived from the declaration: validation on construction (here), the options of a command, their
layers and their wording (`ganspace_topdis.command_line`, `ganspace_topdis.option_layers`), and the tables of the
documentation. The type is the annotation: int, float, bool, str, Path, a Literal (the choices), a tuple of one of them,
each optionally with None for "not given". No torch and no numpy is imported here.
"""

import dataclasses
import difflib
import math
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

from ganspace_topdis.errors import InvalidArgumentError

__all__ = [
    "MAX_SEED",
    "Command",
    "Nested",
    "Option",
    "Settings",
    "Variants",
    "check_names",
    "check_seed",
    "device_option",
    "nearest",
    "nested",
    "option",
    "plain_type",
    "seed_option",
    "split_names",
    "variants",
]

MAX_SEED = 2**32 - 1
"""The largest seed of `numpy.random.RandomState`, which draws the codes of NVIDIA's galleries."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """What a field declares besides its type and default.

    Attributes:
        help: one line, a sentence.
        group: the heading above it in help and tables.
        flag: its name on the command line, where that is not the field's.
        unit: of a number.
        minimum, maximum: inclusive limits of a number.
        above, below: exclusive limits of a number.
        choices: allowed names, where the type is not a Literal.
        default_text: what a default of None means.
        metavar: placeholder of the value in help.
        parse: (text, field) -> value, for values that are typed in a notation of their own.
        complete: returns names that the shell offers.
        argument: positional.
        multiple: repeated on the command line, one value each time.
        nargs: number of values, -1 for any.
        hidden: set from Python only.
        only_for: the values of another option that use this one, as {"method": ("topdis",)}.
    """

    help: str
    group: str = "Options"
    flag: str | None = None
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    default_text: str | None = None
    metavar: str | None = None
    parse: Callable[[str, str], Any] | None = None
    complete: Callable[[], Iterable[str]] | None = None
    argument: bool = False
    multiple: bool = False
    nargs: int = 1
    hidden: bool = False
    only_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Nested:
    """A field that holds further settings, whose options are listed with those of the outer ones.

    Attributes:
        kind: their class.
        prefix: goes before their names, unless they have a `flag`.
        hide: fields that the outer settings determine.
    """

    kind: type
    prefix: str = ""
    hide: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Variants:
    """A mapping of options that depend on a choice: the settings class for each value of the option `by`."""

    by: str
    kinds: Mapping[str, type]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: options in, a record out, and its text.

    Attributes:
        options: a class of `Settings`.
        run: options -> record of plain data; a command that reports while it runs yields several.
        to_text: (record, options) -> the text that is printed.
        help: what it does, one or more paragraphs.
        examples: at least two lines as they are typed.
        groups: the headings in their order; others follow in the order of the fields.
        presets: name -> values by option.
        estimate: what `--dry-run` runs instead of listing the settings.
        plan: options -> what a run would do and how long that takes, which `--dry-run` prints to stderr.
        exit_code: record -> the exit code; 0 by default.
    """

    options: type
    run: Callable[[Any], Any]
    to_text: Callable[[Any, Any], str]
    help: str
    examples: tuple[str, ...]
    groups: tuple[str, ...] = ()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    estimate: Callable[[Any], Any] | None = None
    plan: Callable[[Any], str] | None = None
    exit_code: Callable[[Any], int] | None = None


def option(default: Any = MISSING, *, help: str, **declaration: Any) -> Any:  # noqa: A002  (as click and argparse do)
    """A field with its declaration; see `Option`. Without a default it is required."""
    return field(default=default, metadata={"option": Option(help=help, **declaration)})


def device_option(group: str) -> Any:
    """The field of every command that computes: on which device; see `runs.devices.choose_device`."""
    return option("auto", help="Device: auto, cpu, cuda, cuda:1 or mps.", group=group)


def seed_option(group: str, *, help: str, default: int = 0) -> Any:  # noqa: A002
    """The field of a seed, from 0 to `MAX_SEED`."""
    return option(default, help=help, group=group, minimum=0, maximum=MAX_SEED)


def nested(kind: type, *, optional: bool = False, prefix: str = "", hide: tuple[str, ...] = ()) -> Any:
    """A field of further settings, by default those of `kind()`; None where they are `optional`."""
    declaration = {"nested": Nested(kind=kind, prefix=prefix, hide=hide)}
    if optional:
        return field(default=None, metadata=declaration)
    return field(default_factory=kind, metadata=declaration)


def variants(by: str, kinds: Mapping[str, type]) -> Any:
    """A field that holds a mapping of the options of one of `kinds`, which the field `by` chooses."""
    return field(default_factory=dict, metadata={"variants": Variants(by=by, kinds=kinds)})


class Settings:
    """Base of settings: unknown names and values that are not allowed are refused on construction.

    Raises:
        InvalidArgumentError: it names the field in backquotes, the value, what is allowed, and the nearest name.
    """

    WHERE: ClassVar[str] = ""
    """Goes before the fields' names in messages, "topdis." for settings that are always nested."""

    def __new__(cls, *_: Any, **values: Any) -> "Settings":
        """Refuse unknown names before the generated `__init__` does."""
        known = [entry.name for entry in _fields(cls)]
        for name in values:
            if name not in known:
                raise InvalidArgumentError(
                    f"{cls.__name__} has no setting {name!r}; its settings are {', '.join(known) or 'none'}"
                    f"{nearest(name, known)}",
                    field=name,
                )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Check every field that declares an option."""
        for entry in _fields(type(self)):
            if "option" in entry.metadata:
                self._check(entry.name, entry.type, entry.metadata["option"])

    def _check(self, name: str, annotation: Any, declared: Option) -> None:
        value = _plain(getattr(self, name))
        object.__setattr__(self, name, value)
        kind, optional = plain_type(annotation)
        if value is None and optional:
            return
        what = _violation(value, kind, declared)
        if what is not None:
            self.refuse(name, what)

    def refuse(self, name: str, what: str) -> None:
        """Raise for the value of a field.

        Args:
            name: the field.
            what: what it must be.
        """
        value = _as_typed(getattr(self, name))
        raise InvalidArgumentError(f"`{self.WHERE}{name}` is {value}, but must be {what}", field=name)


def _plain(value: Any) -> Any:
    """Python's number of a NumPy scalar, of which json and torch's seeds know nothing; anything else as it is."""
    if type(value) is tuple:
        return tuple(map(_plain, value))
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0 else value


def _as_typed(value: Any) -> str:
    """A value as people write it, for messages.

    >>> _as_typed("x"), _as_typed(Path("a.txt")), _as_typed((1, 2)), _as_typed(0.5)
    ("'x'", "'a.txt'", '1,2', '0.5')
    """
    if isinstance(value, tuple) and value:
        return ",".join(map(str, value))
    return repr(str(value) if isinstance(value, Path) else value)


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message: the known name that is most like `name`, if any is.

    >>> nearest("sefaa", ["topdis", "sefa"])
    "; did you mean 'sefa'?"
    """
    found = difflib.get_close_matches(str(name).casefold(), list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def plain_type(annotation: Any) -> tuple[Any, bool]:
    """The annotation without None, and whether None was part of it.

    >>> plain_type(int | None)
    (<class 'int'>, True)
    """
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    rest = tuple(kind for kind in get_args(annotation) if kind is not type(None))
    return (rest[0] if len(rest) == 1 else Union[rest]), len(rest) < len(get_args(annotation))  # noqa: UP007


def split_names(text: str, name: str = "names") -> tuple[str, ...]:
    """The names in a list that is separated by commas, for `Option.parse`.

    >>> split_names("mig, dci")
    ('mig', 'dci')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


def check_seed(seed: int) -> None:
    """Raise unless `seed` is a whole number from 0 to `MAX_SEED`.

    Raises:
        InvalidArgumentError: it is not.
    """
    if not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
        raise InvalidArgumentError(f"`seed` is {seed!r}: it must be an integer from 0 to {MAX_SEED}", field="seed")


def check_names(names: Iterable[str], known: Iterable[str], name: str) -> None:
    """Raise for the first of `names` that is not among `known`.

    Args:
        names: what was given.
        known: what is allowed.
        name: the field or argument that holds the names.

    Raises:
        InvalidArgumentError: a name is unknown.
    """
    allowed = list(known)
    for each in names:
        if each not in allowed:
            text = f"`{name}` {each!r} is unknown; choose from {', '.join(allowed)}{nearest(each, allowed)}"
            raise InvalidArgumentError(text, field=name)


def _fields(kind: type) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(kind)


def _violation(value: Any, kind: Any, declared: Option) -> str | None:
    """What `value` should be, where it is not."""
    choices = get_args(kind) if get_origin(kind) is Literal else declared.choices
    if choices:
        return None if value in choices else f"one of {', '.join(choices)}{nearest(value, choices)}"
    if kind is bool:
        return None if isinstance(value, bool) else "true or false"
    if kind in (int, float):
        return _violation_of_number(value, kind, declared)
    if kind is str:
        return None if isinstance(value, str) else "a text"
    if kind is Path:
        return None if isinstance(value, str | Path) else "a path"
    return None


def _violation_of_number(value: Any, kind: type, declared: Option) -> str | None:
    low, high, above, below = declared.minimum, declared.maximum, declared.above, declared.below
    is_number = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if (
        is_number
        and math.isfinite(value)
        and (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    ):
        return None
    return " ".join(["an integer" if kind is int else "a finite number", limits(declared)]).rstrip()


def limits(declared: Option) -> str:
    """The limits of a number in words.

    >>> limits(Option(help="", minimum=0, below=1))
    'of at least 0 and less than 1'
    """
    words = {"at least": declared.minimum, "greater than": declared.above}
    words |= {"at most": declared.maximum, "less than": declared.below}
    text = " and ".join(f"{word} {bound:.17g}" for word, bound in words.items() if bound is not None)
    return f"of {text}" if text.startswith("at") else text
