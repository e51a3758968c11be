"""The options of a command as a flat list: from nested settings to options by name, and from values back to settings.

leaves(Options)                     every option, with its name, flag, type and default
build_options(Options, values)      an instance of nested settings with values by path
options_markdown("discover", ...)   tables for the documentation; options_record(...) the same as plain data
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Option, limits, plain_type

__all__ = ["Leaf", "build_options", "leaves", "options_markdown", "options_record", "replaced", "spellings"]


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One option of a command.

    Attributes:
        name: its key in files and presets, and its name in the environment.
        path: where its value goes, field by field.
        kind: the type, without None.
        declared: its declaration.
        default: what is passed on where it is not given.
        shown: the default in words; "" for none.
        required: whether it is required.
    """

    name: str
    path: tuple[str, ...]
    kind: Any
    declared: Option
    default: Any
    shown: str
    required: bool

    @property
    def flag(self) -> str:
        """As it is typed; the placeholder of an argument."""
        if self.declared.argument:
            return self.declared.metavar or self.name.upper()
        return self.declared.flag or f"--{self.name.replace('_', '-')}"

    @property
    def choices(self) -> tuple[str, ...]:
        """Allowed names, if there is a list of them."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else self.declared.choices


def leaves(
    options: type, path: tuple[str, ...] = (), *, prefix: str = "", hide: tuple[str, ...] = (), optional: bool = False
) -> Iterator[Leaf]:
    """Yield the options that the fields of `options` declare, those of nested settings in their place."""
    for entry in dataclasses.fields(options):
        here, metadata = (*path, entry.name), entry.metadata
        if "nested" in metadata:
            inner = metadata["nested"]
            yield from leaves(inner.kind, here, prefix=inner.prefix, hide=inner.hide, optional=entry.default is None)
        elif "variants" in metadata:
            yield from _variant_leaves(here, metadata["variants"].kinds)
        elif "option" in metadata and not metadata["option"].hidden and entry.name not in hide:
            yield _leaf(entry, here, prefix=prefix, optional=optional)


def _leaf(entry: dataclasses.Field[Any], path: tuple[str, ...], *, prefix: str, optional: bool) -> Leaf:
    declared, required = entry.metadata["option"], entry.default is dataclasses.MISSING
    name = f"{prefix}_{entry.name}" if prefix else entry.name
    if prefix and declared.flag:
        name = declared.flag.removeprefix("--").replace("-", "_")
    default = None if required or optional else entry.default
    is_switch = name == prefix
    shown = declared.default_text or "" if entry.default is None or required else _written(entry.default)
    return Leaf(
        name=name,
        path=path,
        kind=plain_type(entry.type)[0],
        declared=declared,
        default=default,
        shown="without it" if is_switch else shown,
        required=required,
    )


def _variant_leaves(path: tuple[str, ...], kinds: Mapping[str, type]) -> Iterator[Leaf]:
    """Yield each option of any of `kinds` once; its help names the choices that use it, with their defaults."""
    uses: dict[str, list[tuple[str, Leaf]]] = {}
    for choice, kind in kinds.items():
        for leaf in leaves(kind):
            uses.setdefault(leaf.name, []).append((choice, leaf))
    for name, found in uses.items():
        texts: dict[str, list[str]] = {}
        for choice, leaf in found:
            texts.setdefault(leaf.declared.help, []).append(f"{choice} [{leaf.shown}]" if leaf.shown else choice)
        text = "; ".join(f"{', '.join(choices)}: {text}" for text, choices in texts.items())
        first = found[0][1]
        choices = tuple(dict.fromkeys(choice for _, leaf in found for choice in leaf.choices))
        declared = dataclasses.replace(first.declared, help=f"{text}.", group="Options of one method")
        union: Any = Literal[choices] if choices else first.kind  # each kind checks its own choices
        yield dataclasses.replace(first, path=(*path, name), kind=union, declared=declared, default=None, shown="")


def build_options(options: type, values: Mapping[tuple[str, ...], Any], path: tuple[str, ...] = ()) -> Any:
    """An instance of `options` with `values` by path; nested settings are built with it.

    Raises:
        InvalidArgumentError: a value is not allowed, or options of optional settings are given without the one that
            switches them on.
    """
    given: dict[str, Any] = {}
    for entry in dataclasses.fields(options):
        here = (*path, entry.name)
        inner = {key: value for key, value in values.items() if key[: len(here)] == here}
        if "nested" in entry.metadata:
            declared = entry.metadata["nested"]
            if entry.default is None:
                inner = _given(inner, here, declared.prefix)
                if not inner:
                    continue
            given[entry.name] = build_options(declared.kind, inner, here)
        elif "variants" in entry.metadata:
            given[entry.name] = {key[-1]: value for key, value in inner.items() if value is not None}
        elif here in values:
            given[entry.name] = values[here]
    return options(**given)


def _given(values: Mapping[tuple[str, ...], Any], path: tuple[str, ...], prefix: str) -> dict[tuple[str, ...], Any]:
    """The values that were given; the first field of optional settings switches them on."""
    given = {key: value for key, value in values.items() if value is not None}
    switch = next(iter(values), None)
    if given and switch not in given:
        name = f"{path[-1]}.{next(iter(given))[-1]}"
        raise InvalidArgumentError(f"`{name}` needs `{prefix}`; add it, or leave `{name}` out", field=prefix)
    return given


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, tuple):
        return _short_list(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short_list(values: tuple[Any, ...]) -> str:
    if len(values) > 2 and isinstance(values[0], int) and values == tuple(range(values[0], values[0] + len(values))):
        return f"{values[0]}-{values[-1]}"
    return ",".join(map(str, values))


def spellings(found: tuple[Leaf, ...]) -> dict[str, str]:
    """Return flags by the names in messages; "weight" and "topdis.weight" are both --topdis."""
    spelled = {leaf.name: leaf.flag for leaf in found}
    for leaf in found:
        spelled.setdefault(leaf.path[-1], leaf.flag)
        spelled[".".join(leaf.path[-2:])] = leaf.flag
    return spelled


def replaced(text: str, spelled: Mapping[str, str]) -> str:
    """Replace the names in backquotes that are options by their flags."""
    return re.sub(r"`([a-z][a-z_0-9.]*)`", lambda match: spelled.get(match[1], match[0]), text)


def options_markdown(name: str, declared: Command) -> str:
    """The options of a command as Markdown: a heading, and a table for each group."""
    found = tuple(leaves(declared.options))
    spelled = spellings(found)
    groups: dict[str, list[str]] = {group: [] for group in ("Arguments", *declared.groups)}
    for leaf in found:
        group = "Arguments" if leaf.declared.argument else leaf.declared.group
        value = "|".join(leaf.choices) or _value_kind(leaf)
        cells = (f"`{leaf.flag}`", value, "required" if leaf.required else leaf.shown, leaf.declared.help)
        row = " | ".join(replaced(cell, spelled).replace("|", r"\|") for cell in cells)
        groups.setdefault(group, []).append(f"| {row} |")
    lines = [f"## {name}", "", declared.help.partition("\n\n")[0]]
    for group, rows in ((group, rows) for group, rows in groups.items() if rows):
        lines += ["", f"**{group}**", "", "| option | value | default | meaning |", "|---|---|---|---|", *rows]
    if declared.presets:
        lines += ["", f"Presets: {', '.join(f'`{preset}`' for preset in declared.presets)}."]
    return "\n".join(lines)


def options_record(declared: Command) -> list[dict[str, Any]]:
    """The options of a command as plain data, in the order of its help."""
    found = tuple(leaves(declared.options))
    spelled = spellings(found)
    return [
        {
            "option": leaf.flag,
            "value": _value_kind(leaf),
            "choices": list(leaf.choices),
            "default": replaced(leaf.shown, spelled),
            "required": leaf.required,
            "group": "Arguments" if leaf.declared.argument else leaf.declared.group,
            "help": replaced(leaf.declared.help, spelled),
        }
        for leaf in found
    ]


def _value_kind(leaf: Leaf) -> str:
    if leaf.kind is bool:
        return "switch"
    if leaf.declared.parse is not None:
        return leaf.declared.metavar or "text"
    kind = get_args(leaf.kind)[0] if get_origin(leaf.kind) is tuple else leaf.kind
    what = " ".join([{int: "integer", float: "number", Path: "path"}.get(kind, "text"), limits(leaf.declared)]).strip()
    return f"{what}, {leaf.declared.unit}" if leaf.declared.unit else what
