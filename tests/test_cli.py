import dataclasses
import json
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from ganspace_topdis import program
from ganspace_topdis.command_line import make_command
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Settings, option
from stylegan2 import Generator, load, save

PICTURES = ["--seeds", "0-1", "--frames", "3"]
CHEAP = ["--num-span-codes", "200", "--batch-size", "16", *PICTURES]
FAST = ["--steps", "3", *CHEAP]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        program.main(arguments)
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    generator = Generator(z_dim=8, w_dim=8, img_resolution=16, num_mapping_layers=2, channel_base=128, channel_max=16)
    return save(generator.eval(), tmp_path_factory.mktemp("ckpt") / "small.safetensors")


@pytest.fixture(scope="module")
def finished(checkpoint, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "small"
    assert run("discover", "--ckpt", str(checkpoint), "--out", str(out), "--num-directions", "3", *FAST) == 0
    return out


def test_help_answers_without_torch():
    code = "import sys, ganspace_topdis.program; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(program.__file__).parents[1])


def test_help_lists_every_command_once_and_none_is_cut_short(capsys):
    assert run("--help") == 0
    shown = capsys.readouterr().out.partition("Options:")[2]
    assert all(shown.count(f"\n  {name} ") == 1 for name in program.cli.commands)
    assert ".." not in shown


@pytest.mark.parametrize("group", ["", "data", "bench"])
def test_no_command_is_answered_with_the_whole_help(group, capsys):
    assert run(*group.split()) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert ".." not in shown.out.partition("Options:")[2]
    assert max(map(len, shown.out.splitlines())) <= 80
    assert run(*group.split(), "--help") == 0
    assert capsys.readouterr().out == shown.out


def test_a_run_folder_holds_directions_scores_pictures_and_page(finished):
    for name in ("directions.safetensors", "scores.json", "explorer.html", "traversals/overview.png", "config.json"):
        assert (finished / name).stat().st_size > 0
    assert len(list((finished / "traversals").glob("direction_*.webp"))) == 3
    assert len((finished / "metrics.jsonl").read_text().splitlines()) == 3


def test_the_same_command_again_leaves_the_directions_alone(checkpoint, finished):
    before = (finished / "directions.safetensors").read_bytes()
    assert run("discover", "--ckpt", str(checkpoint), "--out", str(finished), "--num-directions", "3", *FAST) == 0
    assert (finished / "directions.safetensors").read_bytes() == before


def test_two_runs_with_one_seed_give_identical_directions(checkpoint, finished, tmp_path):
    assert run("discover", "--ckpt", str(checkpoint), "--out", str(tmp_path / "b"), "--num-directions", "3", *FAST) == 0
    assert (tmp_path / "b/directions.safetensors").read_bytes() == (finished / "directions.safetensors").read_bytes()


def test_another_configuration_in_the_folder_is_refused(checkpoint, finished, capsys):
    code = run("discover", "--ckpt", str(checkpoint), "--out", str(finished), "--num-directions", "2", *FAST)
    assert code == 1
    assert "num_directions was 3, is now 2" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["random", "span-axes", "ganspace", "sefa", "axes"])
def test_every_baseline_runs(checkpoint, tmp_path, method, capsys):
    out = tmp_path / method
    code = run("discover", "--ckpt", str(checkpoint), "--out", str(out), "--method", method, "--json", *CHEAP)
    assert code == 0
    assert json.loads(capsys.readouterr().out)["method"] == method


@pytest.mark.parametrize("picture_format", ["png", "webp", "gif"])
def test_traverse_draws_the_named_direction(finished, picture_format, capsys, tmp_path):
    options = ["--direction", "1", "--seeds", "1-2", "--frames", "3", "--layers", "0-3", "--format", picture_format]
    assert run("traverse", "--directions", str(finished), "--out", str(tmp_path), *options) == 0
    (path,) = capsys.readouterr().out.split()
    assert Path(path).name == f"direction_01_seeds_1-2_frames_3_layers_0-3.{picture_format}"
    assert Path(path).stat().st_size > 0


def test_edit_takes_codes_of_a_file_and_prints_what_it_wrote(finished, tmp_path, capsys):
    np.save(tmp_path / "photo.npy", np.zeros((6, 8)))
    options = ["--latents", str(tmp_path / "photo.npy"), "--set", "1=+2,0=-1", "--layers", "coarse"]
    assert run("edit", "--directions", str(finished), *options, "--out", str(tmp_path / "out")) == 0
    assert Path(capsys.readouterr().out.split()[0]).name == "edited.npy"
    assert run("edit", "--directions", str(finished), "--seeds", "1", "--set", "9=1") == 2
    assert "there are 0 to 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "first"), [("npy", "direction_00.npy"), ("rosinality", "factor.pt"), ("json", "d.json")]
)
def test_export_writes_what_other_programs_read(finished, tmp_path, capsys, kind, first):
    out = tmp_path if kind == "npy" else tmp_path / first
    assert run("export", str(finished), "--to", kind, "--out", str(out)) == 0
    assert Path(capsys.readouterr().out.split()[0]).name == first


def test_a_run_in_s_goes_through_the_commands_that_follow(checkpoint, tmp_path, capsys):
    out = tmp_path / "s"
    given = ("--ckpt", str(checkpoint), "--out", str(out), "--space", "s", "--num-directions", "2")
    assert run("discover", *given, *FAST) == 0
    assert run("traverse", "--directions", str(out), "--seeds", "1", "--layers", "coarse", "--frames", "3") == 0
    assert run("edit", "--directions", str(out), "--seeds", "1", "--set", "1=+2", "--layers", "4-5") == 0
    assert run("export", str(out), "--to", "npy") == 0
    assert (out / "exported/channels.json").exists()
    capsys.readouterr()
    assert run("export", str(out), "--to", "rosinality") == 2
    assert "these are of s; give npy or json" in capsys.readouterr().err


def test_compare_puts_runs_side_by_side(checkpoint, finished, tmp_path, capsys):
    other = tmp_path / "sefa"
    assert run("discover", "--ckpt", str(checkpoint), "--out", str(other), "--method", "sefa", *CHEAP) == 0
    capsys.readouterr()
    assert run("compare", str(finished), str(other), "--frames", "3", "--out", str(tmp_path / "out")) == 0
    table = capsys.readouterr().out
    assert "sefa" in table
    assert "comparison.html" in table
    assert run("compare", str(finished)) == 2
    assert "two or more" in capsys.readouterr().err


def test_score_without_known_factors_says_what_would_work(finished, capsys):
    assert run("score", str(finished), "--truth") == 2
    assert "--factor-network" in capsys.readouterr().err


def test_score_judges_again_on_fresh_codes(finished, capsys):
    assert run("score", str(finished), "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["directions"]) == 3


def test_a_checkpoint_that_the_directions_were_not_made_for_is_refused(finished, tmp_path, capsys):
    other = save(Generator(z_dim=8, w_dim=8, img_resolution=16, channel_base=128).eval(), tmp_path / "o.safetensors")
    assert run("traverse", "--directions", str(finished), "--ckpt", str(other)) == 1
    assert "SHA-256" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        (["--ckpt", "nowhere.pkl"], "nowhere.pkl", 1),
        (["--num-directions", "99"], "is 99, allowed are 1 to", 2),
        (["--layers", "0-99"], "do not exist", 2),
        (["--layers", "x"], "--layers", 2),
        (["--features", "12"], "12 px", 2),
        (["--label", "1"], "not conditional", 2),
        (["--steps", "-1"], "--steps is -1", 2),
        (["--device", "tpu"], "device is 'tpu'", 2),
        (["--seeds", "a"], "--seeds", 2),
        (["--frames", "4"], "odd", 2),
    ],
)
def test_bad_input_is_one_line_and_the_right_exit_code(checkpoint, tmp_path, capsys, options, message, code):
    base = ["--ckpt", str(checkpoint), "--out", str(tmp_path / "run"), "--num-span-codes", "200", "--steps", "1"]
    assert run("discover", *base, *options) == code
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x89PNG\r\n", b"cos\nsystem\n(S'true'\ntR."])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, capsys, content):
    path = tmp_path / "bad.pkl"
    path.write_bytes(content)
    assert run("discover", "--ckpt", str(path), "--out", str(tmp_path / "run")) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_directions_missing_in_a_run_folder_are_named(tmp_path, capsys):
    assert run("traverse", "--directions", str(tmp_path)) == 1
    assert "holds no directions.safetensors; give the run folder of `topdis-gan discover`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "remedy"),
    [("discover", "its search has not finished, and the same"), ("train-vae", "and `evaluate-vae` writes its latents")],
)
def test_a_run_without_directions_says_what_makes_them(tmp_path, capsys, command, remedy):
    (tmp_path / "config.json").write_text(f'{{"command": "{command}", "config": {{}}}}')
    assert run("traverse", "--directions", str(tmp_path)) == 1
    assert remedy in capsys.readouterr().err


def test_a_dry_run_writes_values_as_the_command_line_does(capsys):
    assert run("score", "runs/a", "--agree-with", "runs/b", "--agree-with", "runs/c", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "runs/b,runs/c" in shown
    assert "PosixPath" not in shown
    assert "()" not in shown
    assert run("train-vae", "--dry-run") == 0
    assert "runs/DATA-METHOD" in capsys.readouterr().out


def test_rtd_prints_the_divergence_of_two_files_and_draws_it(tmp_path, capsys):
    cloud = torch.randn(30, 3, generator=torch.Generator().manual_seed(0)).numpy()
    np.save(tmp_path / "x.npy", cloud)
    np.save(tmp_path / "y.npy", cloud**3)
    files = [str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    assert run("rtd", *files, "--plot", str(tmp_path / "bars.png")) == 0
    assert float(capsys.readouterr().out.split()[1]) > 0
    assert (tmp_path / "bars.png").stat().st_size > 0
    assert run("rtd", files[0], files[0], "--json") == 0
    assert json.loads(capsys.readouterr().out)["rtd"] == 0


def test_rtd_refuses_clouds_that_do_not_correspond_and_files_of_objects(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.zeros((4, 2)))
    np.save(tmp_path / "y.npy", np.zeros((5, 2)))
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert run("rtd", str(tmp_path / "x.npy"), str(tmp_path / "y.npy")) == 2
    assert run("rtd", str(tmp_path / "x.npy"), str(tmp_path / "o.npy")) == 1
    assert run("rtd", str(tmp_path / "x.npy"), str(tmp_path / "missing.npy")) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_inspect_names_format_and_sizes(checkpoint, capsys):
    assert run("inspect", str(checkpoint)) == 0
    assert "safetensors" in capsys.readouterr().out
    assert run("inspect", str(checkpoint), "--json") == 0
    assert "16" in json.dumps(json.loads(capsys.readouterr().out))


def test_inspect_fits_the_terminal(checkpoint, capsys):
    assert run("inspect", str(checkpoint)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines if "sha256" not in line)
    assert not [line for line in lines if any(mark in line for mark in "[]{}'")]


def test_convert_refuses_the_name_of_another_format_and_an_existing_file(checkpoint, tmp_path, capsys):
    assert run("convert", str(checkpoint), str(tmp_path / "out.pt")) == 2
    assert "name it out.safetensors, or set --to to rosinality" in capsys.readouterr().err
    assert run("convert", str(checkpoint), str(tmp_path / "out.pkl")) == 2
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"mine")
    assert run("convert", str(checkpoint), str(out)) == 1
    assert "would be replaced; give --force, or another OUT" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert run("convert", str(checkpoint), str(out), "--force") == 0
    assert out.read_bytes() != b"mine"


def test_an_unknown_checkpoint_is_answered_with_the_nearest_name(capsys):
    assert run("inspect", "scense") == 1
    assert "did you mean 'scenes'?" in capsys.readouterr().err


def test_quiet_discards_progress_and_keeps_warnings_results_and_errors(capsys):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Options(Settings):
        fail: bool = option(False, help="Whether to fail.")

    def noisy(options):
        print("step 1/2", file=sys.stderr)
        warnings.warn("odd", UserWarning, stacklevel=1)
        if options.fail:
            raise InvalidArgumentError("`fail` is set")
        return {}

    declared = Command(options=Options, run=noisy, to_text=lambda *_: "done", help="Noisy.", examples=("a", "b"))
    command = make_command("noisy", declared)
    shown = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: shown.append(str(message))
        command.main(["--quiet"], standalone_mode=False)
        assert capsys.readouterr() == ("done\n", "")
        command.main([], standalone_mode=False)
        assert capsys.readouterr() == ("done\n", "step 1/2\n")
        with pytest.raises(InvalidArgumentError, match="--fail is set"):
            command.main(["-q", "--fail"], standalone_mode=False)
    assert shown == ["odd"] * 3


@pytest.mark.parametrize("kind", ["safetensors", "rosinality"])
def test_convert_round_trips_bit_for_bit(tmp_path, kind):
    options = {"z_dim": 8, "w_dim": 8, "img_resolution": 16, "num_mapping_layers": 2, "channel_base": 128}
    first = save(Generator(**options).eval(), tmp_path / "a.safetensors")
    middle, last = tmp_path / f"b.{'pt' if kind == 'rosinality' else 'safetensors'}", tmp_path / "c.safetensors"
    assert run("convert", str(first), str(middle), "--to", kind) == 0
    assert run("convert", str(middle), str(last)) == 0
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(load(first)(z), load(last)(z))


def test_a_stopped_run_goes_on_to_the_same_directions(checkpoint, tmp_path):
    options = ["--num-span-codes", "200", "--steps", "60", "--seeds", "0", "--frames", "3", "--num-directions", "3"]
    command = [sys.executable, "-m", "cli", "discover", "--ckpt", str(checkpoint), *options, "--out"]
    folder = Path(program.__file__).parents[1]
    process = subprocess.Popen([*command, str(tmp_path / "a")], cwd=folder, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "a/metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "the same command resumes from there" in error
    for name in ("a", "b"):
        subprocess.run([*command, str(tmp_path / name)], cwd=folder, check=True, capture_output=True)
    stopped, whole = ((tmp_path / name / "directions.safetensors").read_bytes() for name in ("a", "b"))
    assert stopped == whole


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_closed_stream_does_not_stop_a_command(finished, tmp_path, closed):
    line = (
        f'exec "$0" -m ganspace_topdis.program traverse --directions "$1" --seeds 0 --frames 3 --out "$2" {closed}>&-'
    )
    arguments = [sys.executable, str(finished), str(tmp_path / "drawn")]
    done = subprocess.run(["sh", "-c", line, *arguments], cwd=Path(program.__file__).parents[1], check=False)
    assert done.returncode == 0
    assert list((tmp_path / "drawn").iterdir())


def test_the_home_folder_in_a_file_is_that_of_the_user(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "walk.toml").write_text('out = "~/drawn"\nframes = 3\nseeds = "0"\n')
    assert run("traverse", "--directions", str(finished), "--config", "walk.toml") == 0
    assert list((tmp_path / "home" / "drawn").iterdir())
    assert not (tmp_path / "~").exists()


def test_a_checkpoint_that_is_not_where_the_run_says_is_named_with_the_remedy(
    checkpoint, tmp_path, monkeypatch, capsys
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("g.safetensors").write_bytes(checkpoint.read_bytes())
    found = ["--out", "run", "--num-directions", "2", "--method", "random", *CHEAP]
    assert run("discover", "--ckpt", "g.safetensors", *found) == 0
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert run("traverse", "--directions", "here/run", "--seeds", "0") == 1
    assert capsys.readouterr().err == (
        "error: here/run was made with the checkpoint g.safetensors, which is not there; give it as --ckpt\n"
    )
