"""The program `topdis-gan`: all commands, their help, completion, and exit codes. No torch is imported for `--help`.

Results go to stdout (paths, tables, or one JSON document with --json), progress, warnings and errors to stderr.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 and 143 stopped by Ctrl-C and SIGTERM with the work saved.
"""

import dataclasses
import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from ganspace_topdis import __version__
from ganspace_topdis.command_line import SuggestingGroup, make_command, usage_text
from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.option_leaves import options_markdown, options_record
from ganspace_topdis.options import Command, Settings, nearest, option
from ganspace_topdis.runs.progress import is_secondary_process

__all__ = ["cli", "main", "options_page"]

PROGRAM = "topdis-gan"

_SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Generators": {
        "discover": ("stylegan2.commands.discover", "Find directions in a checkpoint."),
        "score": ("stylegan2.commands.score", "Score them, against truth where it is known."),
        "traverse": ("stylegan2.commands.traverse", "Draw more pictures of them."),
        "explore": ("stylegan2.commands.explore", "Explore them on a live page."),
        "compare": ("stylegan2.commands.compare", "Compare runs of methods or seeds."),
        "edit": ("stylegan2.commands.edit", "Move codes of real images along them."),
        "export": ("stylegan2.commands.export", "Write them for other programs."),
        "bench": ("stylegan2.commands.bench", "Score a method of finding them, where truth is known."),
    },
    "Checkpoints": {
        "inspect": ("stylegan2.commands.inspect", "Describe a checkpoint."),
        "convert": ("stylegan2.commands.convert", "Write a checkpoint in another format."),
    },
    "Autoencoders": {
        "train-vae": ("vae.commands.train_vae", "Train an autoencoder, with or without TopDis."),
        "evaluate-vae": ("vae.commands.evaluate_vae", "Score a trained autoencoder by every metric."),
        "data": ("vae.commands.data", "List, fetch, check and draw data sets."),
        "suite": ("vae.commands.suite", "Train and evaluate a grid of settings and seeds."),
        "report": ("vae.commands.report", "Write the tables and plots of a suite."),
    },
    "Arrays": {
        "metrics": ("ganspace_topdis.commands.metrics", "Score codes against factors, both in files."),
        "rtd": ("ganspace_topdis.commands.rtd", "Print the RTD of two clouds of points."),
    },
}
"""Section -> command -> its module, and one line."""
_MODULES = {name: entry for commands in _SECTIONS.values() for name, entry in commands.items()}
_GROUPS = ("data", "bench")
"""The commands that have subcommands."""


class _Commands(SuggestingGroup):
    """The commands, each imported when it is named; the help lists them by what they work on."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return [*_MODULES, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _MODULES:
            return self.commands.get(cmd_name)
        if cmd_name in _GROUPS:
            subcommands = [make_command(name, declared) for name, declared in _declared(cmd_name).items()]
            return SuggestingGroup(cmd_name, subcommands, help=_MODULES[cmd_name][1], context_settings=_CONTEXT)
        return make_command(cmd_name, _declared(cmd_name)[cmd_name])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in commands.items()])
        with formatter.section("Help"):
            formatter.write_dl([(name, str(command.short_help)) for name, command in self.commands.items()])


_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _declared(name: str) -> dict[str, Command]:
    """The declarations of a command, or of the subcommands of a group."""
    module = importlib.import_module(_MODULES[name][0])
    if name in _GROUPS:
        return dict(module.COMMANDS)
    declared: Command = module.COMMAND
    return {name: dataclasses.replace(declared, run=_score_with_scenes) if name == "score" else declared}


def _score_with_scenes(options: Any) -> Any:
    """Run `score`; its protocol needs labeled scenes, which the VAE half draws."""
    from stylegan2.commands.score import run

    if not options.protocol:
        return run(options)
    from ganspace_topdis.evaluation.protocol import LabeledImages
    from vae.data import scenes

    return run(options, labeled=LabeledImages(scenes.draw, scenes.SIZES))


@click.group(cls=_Commands, context_settings=_CONTEXT)
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """Latent coordinates that change one thing each, by topology (TopDis, Balabin et al. 2024).

    Find directions in a StyleGAN2 generator, or train a disentanglement VAE; score either against truth.

    Every option but --data and --dry-run can also be given as TOPDIS_NAME in the environment, and every one in a TOML
    file with --config.
    """


@dataclass(frozen=True, kw_only=True)
class CompletionOptions(Settings):
    """The shell."""

    shell: Literal["bash", "zsh", "fish"] = option(help="Shell.", argument=True, metavar="bash|zsh|fish")


def completion(options: CompletionOptions) -> dict[str, Any]:
    """The completion script of a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(options.shell)
    assert kind is not None, options.shell
    script = kind(cli, {}, PROGRAM, f"_{PROGRAM.upper().replace('-', '_')}_COMPLETE").source()
    return {"shell": options.shell, "script": script}


@dataclass(frozen=True, kw_only=True)
class OptionsOptions(Settings):
    """The commands."""

    commands: tuple[str, ...] = option((), help="Commands; all by default.", argument=True, nargs=-1)


def list_options(options: OptionsOptions) -> dict[str, Any]:
    """The options of commands.

    Raises:
        InvalidArgumentError: a command does not exist.
    """
    unknown = [name for name in options.commands if name not in _MODULES]
    if unknown:
        raise InvalidArgumentError(f"no such command {unknown[0]!r}{nearest(unknown[0], _MODULES)}", field="commands")
    return {
        "commands": {
            name: {"help": declared.help, "options": options_record(declared)}
            for name, declared in _all_declared(options.commands)
        }
    }


_HELP_COMMANDS = {
    "completion": Command(
        options=CompletionOptions,
        run=completion,
        to_text=lambda record, _: record["script"],
        help="""Print the completion script of a shell: commands, options, checkpoints, data sets, files.

        \b
        bash  add to ~/.bashrc:  eval "$(topdis-gan completion bash)"
        zsh   add to ~/.zshrc:   eval "$(topdis-gan completion zsh)"
        fish  topdis-gan completion fish > ~/.config/fish/completions/topdis-gan.fish""",
        examples=("topdis-gan completion bash", "topdis-gan completion fish --json"),
    ),
    "options": Command(
        options=OptionsOptions,
        run=list_options,
        to_text=lambda _, options: options_page(options.commands).rstrip("\n"),
        help="Print the options of commands, by default of all, as Markdown tables: docs/options.md.",
        examples=("topdis-gan options discover", "topdis-gan options > docs/options.md"),
    ),
}
for _name, _help_command in _HELP_COMMANDS.items():
    cli.add_command(make_command(_name, _help_command))
cli.commands["completion"].short_help = "Print the completion script of a shell."
cli.commands["options"].short_help = "Print the options of commands as Markdown tables."


def _all_declared(names: Sequence[str] = ()) -> Iterator[tuple[str, Command]]:
    """Name and declaration of commands, by default of all; those of a group as `data list`."""
    for name in names or _MODULES:
        for sub, declared in _declared(name).items():
            yield (name if sub == name else f"{name} {sub}"), declared


def options_page(names: Sequence[str] = ()) -> str:
    """The options of the commands `names`, by default of all, as a Markdown page."""
    parts = [
        "# Options",
        "Every command also takes `--json`, `--quiet`, `--config FILE.toml`, `--dry-run` and `--help`.",
    ]
    parts += [options_markdown(name, declared) for name, declared in _all_declared(names)]
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    warnings.showwarning = _show_warning
    if is_secondary_process():
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (for the rest of this process)
    if sys.stderr is None:  # closed by the caller
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    given = None if arguments is None else list(arguments)
    try:
        sys.exit(cli.main(args=given, prog_name=PROGRAM, standalone_mode=False) or 0)
    except click.ClickException as error:
        click.echo(f"error: {usage_text(error)}", err=True)
        sys.exit(error.exit_code)
    except TopdisError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {message}", err=True)


if __name__ == "__main__":
    main()
