"""Where the value of an option comes from: command line, environment, file, preset, default; the first that has one.

    @add_layers(presets={"quick": {"steps": 50}})
    @click.command()
    @click.option("--steps", type=int, default=300)
    def search(dry_run, steps): ...

adds `--config FILE.toml`, `--preset NAME` (where there are presets) and `--dry-run` to a click command, and reads every
option but --data from TOPDIS_NAME in the environment. Names there and keys of a file are those of the options ("steps",
"batch-size", TOPDIS_BATCH_SIZE), as typed or as in Python; an unknown key is refused with the nearest known one.
`settings_of(context)` lists each value and its source. Neither torch nor numpy is imported here.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import nearest
from ganspace_topdis.runs.reading import ReadingError, read_toml

__all__ = [
    "NameChoice",
    "Setting",
    "add_layers",
    "describe_settings",
    "is_explicit",
    "settings_of",
    "source_of_option",
]

Presets = Mapping[str, Mapping[str, Any]]

_OWN = ("config", "preset", "dry_run", "help", "json", "quiet")
_TAKEN = ("TOPDIS_DATA",)
"""Variables that mean something else: the folder of the data sets' files, `vae.data.source_files`."""
_FILE, _PRESET = "ganspace_topdis.settings.file", "ganspace_topdis.settings.preset"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The name, value and source ("command line", "TOPDIS_STEPS", ...) of an option."""

    name: str
    value: Any
    source: str


class NameChoice(click.ParamType):
    """One of a list of names, in any case; the error lists them and the nearest one."""

    name = "name"

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name as it is listed."""
        found = [name for name in self.names if str(value).casefold() == name.casefold()]
        if found:
            return found[0]
        return self.fail(
            f"{value!r} is not one of {', '.join(self.names)}{nearest(str(value), self.names)}", param, ctx
        )

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Names that begin like this."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in self.names if name.startswith(incomplete)]


def add_layers(*, presets: Presets | None = None) -> Callable[[click.Command], click.Command]:
    """A decorator that gives a click command its layers; it goes above `@click.command`.

    The command's function receives `dry_run` besides its own options; neither `config` nor `preset`.
    """

    def decorate(command: click.Command) -> click.Command:
        for option in _options(command):
            variables = sorted(f"TOPDIS_{spelling.upper()}" for spelling in _spellings(option))
            if option.envvar is None:
                option.envvar = [variable for variable in variables if variable not in _TAKEN]
        command.params += _own_options(presets or {})
        command.parse_args = partial(_parse, command.parse_args)  # type: ignore[method-assign]
        return command

    return decorate


def settings_of(context: click.Context) -> list[Setting]:
    """Every argument and option of the running command with its value and source, in order."""
    return [
        Setting(name=str(parameter.name), value=context.params[str(parameter.name)], source=_source(context, parameter))
        for parameter in context.command.params
        if parameter.name in context.params and parameter.name not in _OWN
    ]


def describe_settings(context: click.Context) -> str:
    """The table that --dry-run prints: each value and its source."""
    settings = settings_of(context)
    names = [setting.name for setting in settings]
    defaults = {str(each.name): _default_in_words(each) for each in context.command.params}
    values = [_written(setting.value) or defaults[setting.name] or "not set" for setting in settings]
    width, value_width = max(map(len, names), default=0), max(map(len, values), default=0)
    lines = [
        f"  {name:{width}}  {value:{value_width}}  {setting.source}"
        for name, value, setting in zip(names, values, settings, strict=True)
    ]
    return "\n".join([f"{context.command_path} would run with", *lines])


def _written(value: Any) -> str:
    """A value as it is written on the command line; empty for one that is not set."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _default_in_words(parameter: click.Parameter) -> str:
    """What the help says of the path that a command chooses, such as runs/CKPT-METHOD."""
    if not isinstance(parameter.type, click.Path):
        return ""
    found = re.search(r"\[default: (.+)\]$", getattr(parameter, "help", None) or "")
    return found[1] if found else ""


def source_of_option(context: click.Context, name: str) -> str:
    """Where the value of an option comes from, as in `Setting.source`."""
    parameter = next(each for each in context.command.params if each.name == name)
    return _source(context, parameter)


def is_explicit(context: click.Context, name: str) -> bool:
    """Whether an option was given for this run: on the command line, or in its file."""
    file = context.meta.get(_FILE, (None, {}))[0]
    return source_of_option(context, name) in ("command line", None if file is None else os.fspath(file))


def _own_options(presets: Presets) -> list[click.Option]:
    """--config comes first, so that a file can name a preset."""
    config = click.Option(
        ["--config"],
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="TOPDIS_CONFIG",
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        help="TOML file of options; the command line and TOPDIS_* take precedence.",
    )
    dry_run = click.Option(["--dry-run"], is_flag=True, help="Print what would run and the source of each value.")
    if not presets:
        return [config, dry_run]
    preset = click.Option(
        ["--preset"],
        type=NameChoice(sorted(presets)),
        metavar="NAME",
        envvar="TOPDIS_PRESET",
        is_eager=True,
        expose_value=False,
        callback=lambda context, parameter, name: _use_preset(context, presets, name),
        help=f"Named settings; every other source takes precedence. One of {', '.join(presets)}.",
    )
    return [config, preset, dry_run]


def _parse(
    parse: Callable[[click.Context, list[str]], list[str]], context: click.Context, args: list[str]
) -> list[str]:
    """Parse; the error for a value that was not typed names its source."""
    try:
        return parse(context, args)
    except click.BadParameter as error:
        source = "default" if error.param is None else _source(context, error.param)
        if source in ("command line", "default"):
            raise
        message = f"{error.message.removesuffix('.')} (from {source})."
        raise click.BadParameter(message, ctx=error.ctx, param=error.param) from error


def _read_config(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    if path is not None:
        context.meta[_FILE] = (path, _file_values(context.command, path))
        _merge(context)


def _use_preset(context: click.Context, presets: Presets, name: str | None) -> None:
    if name is not None:
        context.meta[_PRESET] = (name, dict(presets[name]))
        _merge(context)


def _merge(context: click.Context) -> None:
    """Give both layers to click, which reads its default map after command line and environment."""
    _, preset = context.meta.get(_PRESET, (None, {}))
    _, file = context.meta.get(_FILE, (None, {}))
    context.default_map = {**preset, **file}


def _file_values(command: click.Command, path: Path) -> dict[str, Any]:
    try:
        values = read_toml(path)
    except ReadingError as error:
        raise InvalidArgumentError(f"--config {path} cannot be read ({error}); give a TOML file") from error
    names = {spelling: str(option.name) for option in _options(command) for spelling in _spellings(option)}
    options = {str(option.name): option for option in _options(command)}
    known: dict[str, Any] = {}
    for key, value in values.items():
        name = _known(key, value, names, path)
        if name in known:
            raise InvalidArgumentError(f"--config {path} gives {name} twice, as {key!r} too; give it once")
        several = options[name].multiple or options[name].nargs != 1
        items = value if isinstance(value, list) and several else [value]
        taken = [_taken(item, options[name]) for item in items]
        if None in taken:
            raise InvalidArgumentError(
                f"--config {path} gives {name} as {str(value)[:60]!r}; give {_wanted(options[name])}"
            )
        known[name] = taken if several else taken[0]
    return known


def _taken(value: Any, option: click.Option) -> Any:
    """A value of a file as click takes it: what is no number or flag, and all text, as text; None if it is neither."""
    if isinstance(value, str):
        return value
    if option.is_flag:
        return bool(value) if value in (0, 1) and isinstance(value, int) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if isinstance(option.type, click.types.IntParamType):
        return int(value) if value == int(value) else None
    return value if isinstance(option.type, click.types.FloatParamType) else str(value)


def _wanted(option: click.Option) -> str:
    if option.is_flag:
        return "true or false"
    if isinstance(option.type, click.types.IntParamType):
        return "a whole number"
    return "a finite number" if isinstance(option.type, click.types.FloatParamType) else "a string"


def _known(key: str, value: Any, names: Mapping[str, str], path: Path) -> str:
    name = names.get(key.replace("-", "_"))
    if name is not None and name not in ("config", "dry_run"):
        return name
    allowed = [spelling for spelling, own in names.items() if own not in ("config", "dry_run")]
    hint = nearest(key.replace("-", "_"), allowed)
    if isinstance(value, dict) and not hint:
        hint = "; options are not in tables: leave the heading out"
    raise InvalidArgumentError(f"--config {path} has the unknown key {key!r}{hint or '; --help lists the known ones'}")


def _options(command: click.Command) -> list[click.Option]:
    return [option for option in command.params if isinstance(option, click.Option)]


def _spellings(option: click.Option) -> set[str]:
    """The names that a file can use for `option`: as in the code, and as on the command line."""
    long = (spelling for spelling in option.opts if spelling.startswith("--"))
    return {str(option.name), *(spelling.removeprefix("--").replace("-", "_") for spelling in long)}


def _source(context: click.Context, parameter: click.Parameter) -> str:
    match context.get_parameter_source(str(parameter.name)):
        case ParameterSource.COMMANDLINE:
            return "command line"
        case ParameterSource.ENVIRONMENT:
            variables = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar or ()
            return next(variable for variable in variables if os.environ.get(variable))
        case ParameterSource.DEFAULT_MAP:
            path, file = context.meta.get(_FILE, (None, {}))
            preset, _ = context.meta.get(_PRESET, (None, {}))
            return os.fspath(path) if parameter.name in file else f"preset {preset}"
        case _:
            return "default"
