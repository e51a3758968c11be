"""What holds for every command: help, examples, dry run, JSON, files, environment, and errors that name the option."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import pytest

from ganspace_topdis import command_line, program
from ganspace_topdis.option_leaves import Leaf, build_options, leaves
from ganspace_topdis.options import Command
from stylegan2.commands import discover

COMMANDS: dict[str, Command] = {
    name if sub == name else f"{name} {sub}": declared
    for name in program._MODULES
    for sub, declared in program._declared(name).items()
}
EVERY = pytest.mark.parametrize("name", COMMANDS)
LEAVES = {name: tuple(leaves(declared.options)) for name, declared in COMMANDS.items()}
LISTED = {name: declared for name, declared in COMMANDS.items() if declared.estimate is None}


@pytest.fixture(autouse=True)
def _untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dry runs here are about settings: to measure for a plan takes up to a second, several hundred times."""
    monkeypatch.setattr(command_line, "_plan_text", lambda *_: "plan: not measured")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        program.main(arguments)
    return int(left.value.code or 0)


def arguments_of(name: str) -> list[str]:
    """The first example of a command, without the program."""
    return shlex.split(COMMANDS[name].examples[0])[1:]


def dry_run(name: str, *more: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(*arguments_of(name), *more, "--dry-run", "--json") == 0
    settings: dict[str, Any] = json.loads(capsys.readouterr().out)
    return settings


@EVERY
def test_help_has_groups_and_two_examples_in_eighty_columns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*name.split(), "--help") == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "\nGeneral:\n" in shown
    assert "\nOptions:\n" not in shown
    assert shown.partition("\nExamples:\n")[2].count(f"topdis-gan {name}") >= 2
    for leaf in LEAVES[name]:
        assert f"  {leaf.flag}" in shown
        assert leaf.declared.help[0].isupper() or leaf.path[-2:-1] == ("options",)


@EVERY
def test_every_example_is_accepted(name: str) -> None:
    for example in COMMANDS[name].examples:
        name_of_program, *arguments = shlex.split(example)
        assert name_of_program == "topdis-gan"
        context: click.Context = program.cli.make_context(name_of_program, arguments[:], resilient_parsing=False)
        command: click.Command = program.cli
        while isinstance(command, click.Group):
            _, command, arguments = command.resolve_command(context, arguments)
        inner = command.make_context(str(command.name), arguments, parent=context)
        build_options(COMMANDS[name].options, {leaf.path: inner.params[leaf.name] for leaf in LEAVES[name]})


@pytest.mark.parametrize("name", LISTED)
def test_a_dry_run_lists_every_option_with_its_source(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert {*dry_run(name, capsys=capsys)} == {leaf.name for leaf in LEAVES[name]}
    assert run(*arguments_of(name), "--dry-run") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"topdis-gan {name} would run with")
    assert shown.err == ("" if COMMANDS[name].plan is None else "plan: not measured\n")


WITH_DEFAULT = [
    (name, leaf)
    for name in LISTED
    for leaf in LEAVES[name]
    if leaf.kind in (int, float) and leaf.default is not None and not leaf.declared.only_for
]


@pytest.mark.parametrize(("name", "leaf"), WITH_DEFAULT, ids=[f"{name} {leaf.name}" for name, leaf in WITH_DEFAULT])
def test_file_and_environment_reach_every_number(
    name: str, leaf: Leaf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(f"{leaf.name} = {leaf.default}")
    got = dry_run(name, "--config", str(path), capsys=capsys)[leaf.name]
    typed = leaf.flag in arguments_of(name)
    assert got["source"] == ("command line" if typed else str(path))
    for spelling in {leaf.name, leaf.flag.removeprefix("--").replace("-", "_")}:  # as in Python, and as typed
        with monkeypatch.context() as environment:
            environment.setenv(f"TOPDIS_{spelling.upper()}", str(leaf.default))
            got = dry_run(name, "--config", str(path), capsys=capsys)[leaf.name]
        assert got["source"] == ("command line" if typed else f"TOPDIS_{spelling.upper()}")
        assert typed or got["value"] == leaf.default


LIMITED = [
    (name, leaf)
    for name in LISTED
    for leaf in LEAVES[name]
    if leaf.declared.minimum is not None or leaf.declared.above is not None
]


@pytest.mark.parametrize(("name", "leaf"), LIMITED, ids=[f"{name} {leaf.name}" for name, leaf in LIMITED])
def test_a_number_that_is_too_small_is_refused_by_the_option_as_typed(
    name: str, leaf: Leaf, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = ["--method", method_of(leaf)] if "options" in leaf.path else []
    extra += ["--topdis", "5"] if leaf.name.startswith("topdis_") else []
    defaults = {each.name: each.default for each in LEAVES[name]}
    for other, values in leaf.declared.only_for.items():
        extra += [] if defaults[other] in (None, *values) else [f"--{other}", values[0]]
    assert run(*arguments_of(name), *extra, leaf.flag, "-7") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {leaf.flag} is -7")
    assert error.count("\n") == 1
    if leaf.flag not in arguments_of(name):
        monkeypatch.setenv(f"TOPDIS_{leaf.name.upper()}", "-7")
        assert run(*arguments_of(name), *extra) == 2
        assert capsys.readouterr().err.endswith(f"(from TOPDIS_{leaf.name.upper()})\n")


def method_of(leaf: Leaf) -> str:
    """A method of train-vae that has the option."""
    from vae.method_options import METHOD_OPTIONS

    return next(name for name, kind in METHOD_OPTIONS.items() if leaf.name in kind.__dataclass_fields__)


@EVERY
def test_an_unknown_option_is_answered_with_the_nearest(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    typed = [leaf for leaf in LEAVES[name] if not leaf.declared.argument]
    flag = typed[0].flag if typed else "--json"
    assert run(*name.split(), f"{flag}z") == 2
    assert flag in capsys.readouterr().err.partition("did you mean")[2]


REQUIRED = [(name, leaf) for name in COMMANDS for leaf in LEAVES[name] if leaf.required]


@pytest.mark.parametrize(("name", "leaf"), REQUIRED, ids=[f"{name} {leaf.name}" for name, leaf in REQUIRED])
def test_a_required_value_that_is_missing_is_named_with_an_example(
    name: str, leaf: Leaf, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = [each for each in LEAVES[name] if each.required]
    typed = [
        word for each in needed if each != leaf for word in (["x"] if each.declared.argument else [each.flag, "x"])
    ]
    if leaf.declared.argument:
        typed = typed[: needed.index(leaf)]
    assert run(*name.split(), *typed) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {leaf.flag} is missing, as in `{COMMANDS[name].examples[0]}`; see ")
    assert error.count("\n") == 1


CHOICES = [(name, leaf) for name in COMMANDS for leaf in LEAVES[name] if leaf.choices]


@pytest.mark.parametrize(("name", "leaf"), CHOICES, ids=[f"{name} {leaf.name}" for name, leaf in CHOICES])
def test_an_unknown_name_lists_the_known_and_the_nearest(
    name: str, leaf: Leaf, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments_of(name), leaf.flag, f"{leaf.choices[0]}q") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {leaf.flag}: '{leaf.choices[0]}q' is not one of {', '.join(leaf.choices)}")
    assert f"did you mean '{leaf.choices[0]}'?" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["discovr"], "'discover'"),
        (["data", "infoo", "dsprites"], "'info'"),
        (["discover", "--preset", "quik"], "'quick'"),
        (["data", "info", "dspritez"], "dsprites"),
        (["options", "rtdd"], "'rtd'"),
        (["suite", "quik"], "'quick'"),
    ],
)
def test_an_unknown_command_preset_or_data_set_is_answered_with_the_nearest(
    arguments: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert f"did you mean {nearest}" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("flag", [leaf.flag for leaf in LEAVES["discover"] if leaf.declared.only_for])
def test_an_option_that_the_method_ignores_is_refused(
    flag: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    leaf = next(leaf for leaf in LEAVES["discover"] if leaf.flag == flag)
    value = [] if leaf.kind is bool else [leaf.choices[0] if leaf.choices else "3"]
    assert run("discover", "--method", "sefa", flag, *value, "--dry-run") == 2
    assert capsys.readouterr().err.startswith(f"error: {flag} is not used by --method sefa, only by topdis")
    (tmp_path / "run.toml").write_text(f"{leaf.name} = {json.dumps(value[0] if value else True)}")
    assert run("discover", "--method", "sefa", "--config", str(tmp_path / "run.toml"), "--dry-run") == 2


def test_a_preset_may_hold_options_that_the_method_ignores(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("discover", "--method", "sefa", "--preset", "quick", "--dry-run") == 0


def test_an_option_has_one_type_in_every_command() -> None:
    kinds: dict[str, set[object]] = {}
    for found in LEAVES.values():
        for leaf in found:
            kind = "name" if leaf.choices else get_origin(leaf.kind) or leaf.kind
            kinds.setdefault(leaf.flag, set()).add((leaf.declared.argument, kind))
    assert {flag: kind for flag, kind in kinds.items() if len(kind) > 1} == {}


def test_the_defaults_of_the_command_line_are_those_of_python() -> None:
    values = {leaf.path: leaf.default for leaf in LEAVES["discover"]}
    assert build_options(discover.Options, values) == discover.Options()


def test_choices_come_from_the_annotations() -> None:
    for found in LEAVES.values():
        for leaf in found:
            if get_origin(leaf.kind) is Literal:
                assert leaf.choices == get_args(leaf.kind)


HELP = """
import sys
from ganspace_topdis import program
from click.testing import CliRunner
for name in [[], *([each] for each in program._MODULES)]:
    assert CliRunner().invoke(program.cli, [*name, "--help"]).exit_code == 0
    assert not {"torch", "numpy", "requests", "rich"} & sys.modules.keys(), name
"""


def test_help_of_every_command_answers_without_torch() -> None:
    subprocess.run([sys.executable, "-c", HELP], check=True, cwd=Path(program.__file__).parents[1])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("topdis-gan disc", "discover"),
        ("topdis-gan discover --method se", "sefa"),
        ("topdis-gan discover --ckpt sce", "scenes"),
        ("topdis-gan train-vae --data dspr", "dsprites"),
        ("topdis-gan train-vae --preset topdis-b", "topdis-beta-tcvae"),
        ("topdis-gan data info 3dsh", "3dshapes"),
        ("topdis-gan suite qui", "quick"),
        ("topdis-gan completion ba", "bash"),
    ],
)
def test_the_shell_completes_commands_checkpoints_and_data_sets(words: str, expected: str) -> None:
    from click.shell_completion import BashComplete

    *before, begun = words.split()[1:]
    found = BashComplete(program.cli, {}, "topdis-gan", "_TOPDIS_GAN_COMPLETE").get_completions(before, begun)
    assert expected in [item.value for item in found]


def test_help_commands_print_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("completion", "bash", "--json", "--quiet") == 0
    assert "_TOPDIS_GAN_COMPLETE" in json.loads(capsys.readouterr().out)["script"]
    assert run("options", "rtd", "data", "--json") == 0
    listed = json.loads(capsys.readouterr().out)["commands"]
    assert list(listed)[:2] == ["rtd", "data list"]
    scores = next(entry for entry in listed["rtd"]["options"] if entry["option"] == "--scores")
    assert (scores["default"], scores["required"], scores["group"]) == ("rtd", False, "Scores")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_a_script_for_the_program(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("completion", shell) == 0
    assert "_TOPDIS_GAN_COMPLETE" in capsys.readouterr().out


def test_the_documented_options_are_up_to_date() -> None:
    page = Path(program.__file__).parents[1] / "docs" / "options.md"
    assert page.read_text(encoding="utf-8") == program.options_page(), "run `topdis-gan options > docs/options.md`"
