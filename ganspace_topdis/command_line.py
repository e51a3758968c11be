"""From a `Command` to the command line: options in groups, their layers, errors in the words of the user, and output.

    make_command("discover", declaration)   a click command with --json, --config, --preset, --dry-run and examples
    options_markdown("discover", ...)       the same options as tables, for the documentation

A message of the library names a field in backquotes; the running command replaces it by the option as it is typed.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.option_layers import (
    NameChoice,
    add_layers,
    describe_settings,
    is_explicit,
    settings_of,
    source_of_option,
)
from ganspace_topdis.options import Command, Option, limits, plain_type

__all__ = ["HelpContext", "HelpFormatter", "Leaf", "build_options", "leaves", "make_command", "options_markdown"]

_GENERAL = "General"
_SHORT = 24
"""Choices are listed in place of the value up to this length, else in the help."""


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
        required: whether it has to be given.
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
        declared = dataclasses.replace(found[0][1].declared, help=f"{text}.", group="Options of one method")
        yield dataclasses.replace(found[0][1], path=(*path, name), declared=declared, default=None, shown="")


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


class HelpFormatter(click.HelpFormatter):
    """Help that breaks no line within a name, or between "default" and its value."""

    def write_dl(self, rows: Any, *settings: Any, **more: Any) -> None:
        """Write a list of options and their help."""
        kept = [(name, text.replace("-", "\u2011").replace("[default: ", "[default:\u00a0")) for name, text in rows]
        super().write_dl(kept, *settings, **more)

    def getvalue(self) -> str:
        """The text, with ordinary hyphens and spaces."""
        return super().getvalue().replace("\u2011", "-").replace("\u00a0", " ")


class HelpContext(click.Context):
    """A context whose help is written by `HelpFormatter`."""

    formatter_class = HelpFormatter


class _GroupedCommand(click.Command):
    """A command whose help has groups of options and examples, and whose errors name options as they are typed."""

    context_class = HelpContext

    def __init__(self, *, declared: Command, leaves: tuple[Leaf, ...], **settings: Any) -> None:
        super().__init__(**settings)
        self.declared, self.leaves = declared, leaves

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments and options, group by group."""
        names = {leaf.name: leaf for leaf in self.leaves}
        groups: dict[str, list[tuple[str, str]]] = {group: [] for group in ("Arguments", *self.declared.groups)}
        for leaf in self.leaves:
            groups.setdefault("Arguments" if leaf.declared.argument else leaf.declared.group, [])
        for parameter in self.get_params(context):
            found = names.get(str(parameter.name))
            if found is not None and found.declared.argument:
                groups["Arguments"].append((found.flag, _help(found, _spellings(self.leaves))))
            elif (record := parameter.get_help_record(context)) is not None:
                groups.setdefault(found.declared.group if found else _GENERAL, []).append(record)
        for title, records in groups.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed."""
        with formatter.section("Examples"):
            for line in self.declared.examples:
                formatter.write(f"  {line}\n")

    def invoke(self, context: click.Context) -> Any:
        """Run, and word errors for the command line."""
        try:
            return super().invoke(context)
        except TopdisError as error:
            error.args = (_worded(error, context, self.leaves), *error.args[1:])
            raise


def make_command(name: str, declared: Command) -> click.Command:
    """The click command of a declaration."""
    found = tuple(leaves(declared.options))
    spelled = _spellings(found)

    def run(**values: Any) -> None:
        _run(click.get_current_context(), declared, found, values)

    command = _GroupedCommand(
        declared=declared,
        leaves=found,
        name=name,
        callback=run,
        params=[_parameter(leaf, spelled) for leaf in found],
        help=declared.help,
    )
    command.params.append(click.Option(["--json"], is_flag=True, help="Print one JSON document."))
    return add_layers(presets=declared.presets)(command)


def _run(context: click.Context, declared: Command, found: tuple[Leaf, ...], values: dict[str, Any]) -> None:
    as_json, dry_run = values["json"], values["dry_run"]
    _refuse_ignored(context, found, values)
    options = build_options(declared.options, {leaf.path: values[leaf.name] for leaf in found})
    if dry_run and declared.estimate is None:
        click.echo(_settings_json(context) if as_json else describe_settings(context))
        return
    record = (declared.estimate if dry_run and declared.estimate else declared.run)(options)
    for each in record if isinstance(record, Iterator) else (record,):
        click.echo(json.dumps(each, indent=2, default=str) if as_json else declared.to_text(each, options))
        if declared.exit_code is not None:
            context.exit(declared.exit_code(each))


def _refuse_ignored(context: click.Context, found: tuple[Leaf, ...], values: dict[str, Any]) -> None:
    """Refuse options that the choice of another one ignores; those of presets and the environment are dropped."""
    for leaf in found:
        for other, allowed in leaf.declared.only_for.items():
            if values[other] in allowed:
                continue
            if is_explicit(context, leaf.name):
                raise InvalidArgumentError(
                    f"`{leaf.name}` is not used by `{other}` {values[other]}, only by {', '.join(allowed)}; "
                    f"leave `{leaf.name}` out",
                    field=leaf.name,
                )
            values[leaf.name] = leaf.default


def _settings_json(context: click.Context) -> str:
    settings = {each.name: {"value": each.value, "source": each.source} for each in settings_of(context)}
    return json.dumps(settings, indent=2, default=str)


def _parameter(leaf: Leaf, spelled: Mapping[str, str]) -> click.Parameter:
    declared, kind = leaf.declared, _click_type(leaf)
    if declared.argument:
        given = {} if leaf.required else {"default": leaf.default}
        return click.Argument(
            [leaf.name],
            type=kind,
            nargs=declared.nargs,
            required=leaf.required,
            metavar=declared.metavar,
            **given,
        )
    settings: dict[str, Any] = {"help": _help(leaf, spelled), "required": leaf.required}
    if not leaf.required:
        settings["default"] = leaf.default
    if leaf.kind is bool:
        flag = leaf.flag if leaf.default is False else f"{leaf.flag}/{leaf.flag.replace('--', '--no-', 1)}"
        return click.Option([flag, leaf.name], is_flag=True, **settings)
    return click.Option(
        [leaf.flag, leaf.name],
        type=kind,
        metavar=declared.metavar or _metavar(leaf),
        multiple=declared.multiple,
        nargs=declared.nargs,
        **settings,
    )


class _Text(click.ParamType):
    """A value in its own notation, or any text; the shell offers the names that there are, and files."""

    name = "text"

    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a text; everything else has been parsed before."""
        if self.leaf.declared.parse is None or not isinstance(value, str):
            return value
        try:
            return self.leaf.declared.parse(value, self.leaf.name)
        except InvalidArgumentError as error:
            return self.fail(_replaced(str(error), {self.leaf.name: self.leaf.flag}), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Names that begin like this; the shell adds files."""
        from click.shell_completion import CompletionItem

        names = self.leaf.declared.complete() if self.leaf.declared.complete else ()
        begun = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return [*begun, CompletionItem(incomplete, type="file")]


def _click_type(leaf: Leaf) -> click.ParamType:
    kind = get_args(leaf.kind)[0] if get_origin(leaf.kind) is tuple else leaf.kind
    if leaf.choices:
        return NameChoice(leaf.choices)
    if leaf.declared.parse is not None:
        return _Text(leaf)
    types: dict[Any, click.ParamType] = {
        int: click.INT,
        float: click.FLOAT,
        bool: click.BOOL,
        Path: click.Path(path_type=Path),
    }
    return types.get(kind) or _Text(leaf)


def _metavar(leaf: Leaf) -> str:
    joined = "|".join(leaf.choices)
    if leaf.choices:
        return f"[{joined}]" if len(joined) <= _SHORT else "NAME"
    kind = get_args(leaf.kind)[0] if get_origin(leaf.kind) is tuple else leaf.kind
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(kind, "TEXT")


def _help(leaf: Leaf, spelled: Mapping[str, str]) -> str:
    text = _replaced(leaf.declared.help, spelled)
    joined = "|".join(leaf.choices)
    if leaf.choices and len(joined) > _SHORT:
        text += f" One of {', '.join(leaf.choices)}."
    if leaf.declared.multiple:
        text += " May be repeated."
    if leaf.required:
        return text if leaf.declared.argument else f"{text}  [required]"
    return f"{text}  [default: {leaf.shown}]" if leaf.shown else text


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, tuple):
        return _short_list(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short_list(values: tuple[Any, ...]) -> str:
    if len(values) > 2 and values == tuple(range(values[0], values[-1] + 1)):
        return f"{values[0]}-{values[-1]}"
    return ",".join(map(str, values))


def _spellings(found: tuple[Leaf, ...]) -> dict[str, str]:
    """Names in messages -> options as they are typed; "weight" and "topdis.weight" are both --topdis."""
    spelled = {leaf.name: leaf.flag for leaf in found}
    for leaf in found:
        spelled.setdefault(leaf.path[-1], leaf.flag)
        spelled[".".join(leaf.path[-2:])] = leaf.flag
    return spelled


def _replaced(text: str, spelled: Mapping[str, str]) -> str:
    return re.sub(r"`([a-z][a-z_0-9.]*)`", lambda match: spelled.get(match[1], match[0]), text)


def _worded(error: TopdisError, context: click.Context, found: tuple[Leaf, ...]) -> str:
    """The message with options as they are typed, and where the value came from if it was not typed."""
    text = _replaced(str(error.args[0]) if error.args else str(error), _spellings(found))
    field = getattr(error, "field", None)
    at_fault = next((leaf.name for leaf in found if field in (leaf.name, leaf.path[-1])), None)
    source = "default" if at_fault is None else source_of_option(context, at_fault)
    return text if source in ("default", "command line") else f"{text} (from {source})"


def options_markdown(name: str, declared: Command) -> str:
    """The options of a command as Markdown: a heading, and a table for each group."""
    found = tuple(leaves(declared.options))
    spelled = _spellings(found)
    groups: dict[str, list[str]] = {group: [] for group in ("Arguments", *declared.groups)}
    for leaf in found:
        group = "Arguments" if leaf.declared.argument else leaf.declared.group
        value = "|".join(leaf.choices) or " ".join([_value_kind(leaf), limits(leaf.declared)]).strip()
        cells = (f"`{leaf.flag}`", value, "required" if leaf.required else leaf.shown, leaf.declared.help)
        row = " | ".join(_replaced(cell, spelled).replace("|", r"\|") for cell in cells)
        groups.setdefault(group, []).append(f"| {row} |")
    lines = [f"## {name}", "", declared.help.partition("\n\n")[0]]
    for group, rows in ((group, rows) for group, rows in groups.items() if rows):
        lines += ["", f"**{group}**", "", "| option | value | default | meaning |", "|---|---|---|---|", *rows]
    if declared.presets:
        lines += ["", f"Presets: {', '.join(f'`{preset}`' for preset in declared.presets)}."]
    return "\n".join(lines)


def _value_kind(leaf: Leaf) -> str:
    if leaf.kind is bool:
        return "switch"
    kind = get_args(leaf.kind)[0] if get_origin(leaf.kind) is tuple else leaf.kind
    what = {int: "integer", float: "number", Path: "path"}.get(kind, "text")
    return f"{what}, {leaf.declared.unit}" if leaf.declared.unit else what
