"""From a `Command` to the command line: options in groups, their layers, errors in the words of the user, and output.

    make_command("discover", declaration)   a click command with --json, --config, --preset, --dry-run and examples

A message of the library names a field in backquotes; the running command replaces it by the option as it is typed.
"""

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from click.core import ParameterSource

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.option_layers import (
    NameChoice,
    add_layers,
    describe_settings,
    is_explicit,
    settings_of,
    source_of_option,
)
from ganspace_topdis.option_leaves import Leaf, build_options, leaves, replaced, spellings
from ganspace_topdis.options import Command, nearest

__all__ = ["HelpContext", "HelpFormatter", "SuggestingGroup", "make_command", "usage_text"]

_GENERAL = "General"
_SHORT = 24
"""Choices are listed in place of the value up to this length, else in the help."""


class HelpFormatter(click.HelpFormatter):
    """Help that breaks no line within a name, or between "default" and its value."""

    def write_dl(self, rows: Any, *settings: Any, **more: Any) -> None:
        """Write a list of options and their help."""
        kept = [(name, text.replace("-", "\u2011").replace("[default: ", "[default:\u00a0")) for name, text in rows]
        super().write_dl(kept, *settings, **more)

    def getvalue(self) -> str:
        """The text, with plain hyphens and spaces."""
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
                groups["Arguments"].append((found.flag, _help(found, spellings(self.leaves))))
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
    spelled = spellings(found)

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
    quiet = click.Option(["--quiet", "-q"], is_flag=True, help="Print no progress, only results, warnings and errors.")
    command.params.append(quiet)
    return add_layers(presets=declared.presets)(command)


def _run(context: click.Context, declared: Command, found: tuple[Leaf, ...], values: dict[str, Any]) -> None:
    as_json, dry_run = values["json"], values["dry_run"]
    _refuse_ignored(context, found, values)
    options = build_options(declared.options, {leaf.path: values[leaf.name] for leaf in found})
    if dry_run and declared.estimate is None:
        click.echo(_settings_json(context) if as_json else describe_settings(context))
        if declared.plan is not None:
            click.echo(_plan_text(declared.plan, options), err=True)
        return
    with _without_progress() if values["quiet"] else contextlib.nullcontext():
        record = (declared.estimate if dry_run and declared.estimate else declared.run)(options)
        for each in record if isinstance(record, Iterator) else (record,):
            click.echo(json.dumps(each, indent=2, default=str) if as_json else declared.to_text(each, options))
            if declared.exit_code is not None:
                context.exit(declared.exit_code(each))


@contextlib.contextmanager
def _without_progress() -> Iterator[None]:
    """Discard what is written to stderr, except warnings; errors are printed after this context."""
    stderr, show = sys.stderr, warnings.showwarning

    def show_there(*arguments: Any, **more: Any) -> None:
        with contextlib.redirect_stderr(stderr):
            show(*arguments, **more)

    warnings.showwarning = show_there
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
            yield
    finally:
        warnings.showwarning = show


def _plan_text(plan: Callable[[Any], str], options: Any) -> str:
    """The plan, or why there is none: a dry run also answers where the run itself would fail."""
    try:
        return plan(options)
    except TopdisError as error:
        return f"plan: not timed ({error})"


def _refuse_ignored(context: click.Context, found: tuple[Leaf, ...], values: dict[str, Any]) -> None:
    """Refuse options that the choice of another one ignores; those of presets and the environment are dropped."""
    for leaf in found:
        for other, allowed in leaf.declared.only_for.items():
            if values[other] is None or values[other] in allowed:  # without a value, it is the default, which uses it
                continue
            if is_explicit(context, leaf.name):
                raise InvalidArgumentError(
                    f"`{leaf.name}` is not used by `{other}` {values[other]}, only by {', '.join(allowed)}; "
                    f"leave `{leaf.name}` out",
                    field=leaf.name,
                )
            values[leaf.name] = context.params[leaf.name] = leaf.default
            context.set_parameter_source(leaf.name, ParameterSource.DEFAULT)


def _settings_json(context: click.Context) -> str:
    settings = {each.name: {"value": each.value, "source": each.source} for each in settings_of(context)}
    return json.dumps(settings, indent=2, default=str)


def _parameter(leaf: Leaf, spelled: Mapping[str, str]) -> click.Parameter:
    declared, kind = leaf.declared, _click_type(leaf)
    if declared.argument:
        given = {} if leaf.required or declared.nargs == -1 else {"default": leaf.default}  # any number may be none
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


class _UserPath(click.Path):
    """A path; its ~ is the home folder also where no shell has expanded it: in files and after `--out=`."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        return Path(os.fsdecode(super().convert(value, parameter, context))).expanduser()


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
            return self.fail(replaced(str(error), {self.leaf.name: self.leaf.flag}), param, ctx)

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
        Path: _UserPath(),
    }
    return types.get(kind) or _Text(leaf)


def _metavar(leaf: Leaf) -> str:
    joined = "|".join(leaf.choices)
    if leaf.choices:
        return f"[{joined}]" if len(joined) <= _SHORT else "NAME"
    kind = get_args(leaf.kind)[0] if get_origin(leaf.kind) is tuple else leaf.kind
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(kind, "TEXT")


def _help(leaf: Leaf, spelled: Mapping[str, str]) -> str:
    text = replaced(leaf.declared.help, spelled)
    joined = "|".join(leaf.choices)
    if leaf.choices and len(joined) > _SHORT:
        text += f" One of {', '.join(leaf.choices)}."
    if leaf.declared.multiple:
        text += " May be repeated."
    return f"{text}  [default: {replaced(leaf.shown, spelled)}]" if leaf.shown else text


def _worded(error: TopdisError, context: click.Context, found: tuple[Leaf, ...]) -> str:
    """The message with options as they are typed, and where the value came from if it was not typed."""
    text = replaced(str(error.args[0]) if error.args else str(error), spellings(found))
    field = getattr(error, "field", None)
    at_fault = next((leaf.name for leaf in found if field in (leaf.name, leaf.path[-1])), None)
    source = "default" if at_fault is None else source_of_option(context, at_fault)
    return text if source in ("default", "command line") else f"{text} (from {source})"


class SuggestingGroup(click.Group):
    """A group that answers no command with its help, and an unknown one with the nearest."""

    context_class = HelpContext

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Print the help where nothing was typed, which click's versions answer differently."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first sentence of each command, whole."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(limit=1000)) for name, each in commands if each])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a command by its name."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"no such command {args[0]!r}{nearest(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def _missing_text(parameter: click.Parameter, context: click.Context) -> str:
    """What is missing, and a command that has it."""
    typed = parameter.human_readable_name if isinstance(parameter, click.Argument) else parameter.opts[0]
    command = context.command
    example = f", as in `{command.declared.examples[0]}`" if isinstance(command, _GroupedCommand) else ""
    return f"{typed} is missing{example}"


def usage_text(error: click.ClickException) -> str:
    """The error on one line, with the option at fault as it is typed."""
    if isinstance(error, click.NoSuchOption):  # click's own words differ by its version
        known = [spelled for parameter in error.ctx.command.params for spelled in parameter.opts] if error.ctx else []
        text = f"no such option {error.option_name}{nearest(error.option_name, known)}"
    elif isinstance(error, click.MissingParameter) and error.param is not None and error.ctx is not None:
        return f"{_missing_text(error.param, error.ctx)}; see {error.ctx.command_path} --help"
    else:
        text = error.message if isinstance(error, click.BadParameter) and error.message else error.format_message()
    text = " ".join(text.split()).rstrip(".")
    if isinstance(error, click.BadParameter) and error.param is not None and error.param.opts[0] not in text:
        text = f"{error.param.get_error_hint(error.ctx)}: {text}".replace("'", "", 2)
    context = getattr(error, "ctx", None)
    return text if context is None else f"{text}; see {context.command_path} --help"
