"""The run folder of `train-vae`: starts that fail, and damage after the end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from ganspace_topdis import program
from ganspace_topdis.errors import CheckpointError, InvalidArgumentError, RunFolderError, TopdisError
from ganspace_topdis.runs.folder import RunFolder
from ganspace_topdis.runs.progress import StopRequestedError
from ganspace_topdis.runs.records import read_run, write_status

FOLDER = Path(__file__).parent
CONFIG = {"steps": 8, "model": {"width": 3, "rates": [0.1, 0.2]}}


def open_run(path, config=CONFIG, command="search", **options):
    return RunFolder.open(path, config, command=command, **options)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def work(folder, num_steps=8):
    """A small search: adds random numbers up, in a way that any lost or repeated draw would change."""
    rng, total, first = torch.Generator().manual_seed(0), torch.zeros(3), 0
    if checkpoint := folder.resume():
        rng.set_state(checkpoint.tensors["rng"])
        total, first = checkpoint.tensors["total"], checkpoint.rest["step"]
    for step in range(first + 1, num_steps + 1):
        total = 0.9 * total + torch.randn(3, generator=rng)
        folder.append_metrics({"step": step, "total": total.sum()})
        if step % 2 == 0:
            folder.save(step, {"rng": rng.get_state(), "total": total}, {"step": step})
        yield step


def finish(path):
    with open_run(path) as folder:
        list(work(folder))


def contents(path):
    return {name: (path / name).read_bytes() for name in ("metrics.jsonl", "checkpoints/step_000000008.safetensors")}


def test_a_new_run_writes_its_records(tmp_path):
    with open_run(tmp_path / "deep" / "run") as folder:
        assert folder.previous is None
        assert not folder.finished
        assert folder.resume() is None
        assert read(folder.path / "config.json") == {"command": "search", "config": CONFIG}
        assert read(folder.path / "environment.json")["packages"]["torch"] == torch.__version__
        assert read(folder.path / "status.json")["state"] == "running"


def fail(path, error):
    with open_run(path):
        raise error


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (StopRequestedError("saved after step 3"), "interrupted", "saved after step 3"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
        (SystemExit(143), "interrupted", "SystemExit: 143"),
        (TopdisError("the loss is nan"), "failed", "the loss is nan"),
        (ZeroDivisionError("by zero"), "failed", "ZeroDivisionError: by zero"),
    ],
)
def test_the_status_records_how_and_why_a_run_ended(tmp_path, error, state, reason):
    with pytest.raises(type(error)):
        fail(tmp_path / "run", error)
    status = read_run(tmp_path / "run").status
    assert (status.state, status.reason) == (state, reason)


def test_the_same_command_finds_the_run_finished_and_changes_nothing(tmp_path):
    finish(tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").glob("*.json*")}
    with open_run(tmp_path / "run") as folder:
        assert folder.finished
    assert {path: path.read_bytes() for path in (tmp_path / "run").glob("*.json*")} == before


@pytest.mark.parametrize("stop_after", [1, 2, 5])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, stop_after):
    finish(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt), open_run(tmp_path / "stopped") as folder:  # noqa: PT012
        for step in work(folder):
            if step == stop_after:
                raise KeyboardInterrupt
    finish(tmp_path / "stopped")
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_folder import open_run, work
with open_run(Path(sys.argv[1])) as folder:
    for step in work(folder):
        if step == 5:
            print("at 5", flush=True)
            time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_run_is_recognized_and_resumes_to_the_same_result(tmp_path):
    arguments = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), os.path.dirname(__file__)]  # noqa: PTH120
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert read_run(tmp_path / "killed").status.state == "running"
        with pytest.raises(RunFolderError, match=f"in use by process {process.pid}"):
            open_run(tmp_path / "killed")
        process.send_signal(signal.SIGKILL)
    assert read_run(tmp_path / "killed").status.state == "killed"
    with open_run(tmp_path / "killed") as folder:
        assert folder.previous.state == "killed"
        list(work(folder))
    finish(tmp_path / "whole")
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_run_of_another_configuration_is_refused_listing_the_differences(tmp_path):
    finish(tmp_path / "run")
    other = {"steps": 9, "model": {"width": 3, "rates": [0.1]}, "extra": None, "more": {"a": 1, "b": 2}}
    with pytest.raises(RunFolderError) as caught:
        open_run(tmp_path / "run", other)
    message = str(caught.value)
    assert "extra was missing, is now not set" in message
    assert "more was missing, is now set" in message  # in one clause, not one for each of its settings
    assert "model.rates was [0.1, 0.2], is now [0.1]" in message
    assert "steps was 8, is now 9" in message
    assert "width" not in message
    assert "`out`" in message


def test_a_run_of_another_command_is_refused(tmp_path):
    finish(tmp_path / "run")
    with pytest.raises(RunFolderError, match="holds a run of `search`, not of `train-vae`"):
        open_run(tmp_path / "run", command="train-vae")


def test_free_keys_may_change_and_the_latest_value_is_stored(tmp_path):
    open_run(tmp_path / "run", {"steps": 8, "workers": 1}).close()
    with open_run(tmp_path / "run", {"steps": 8, "workers": 4}, free_keys=["workers"]):
        assert read_run(tmp_path / "run").config["workers"] == 4


def test_a_finished_run_stores_the_latest_value_of_a_free_key_too(tmp_path):
    with open_run(tmp_path / "run", {"steps": 8, "workers": 1}) as folder:
        list(work(folder))
    with open_run(tmp_path / "run", {"steps": 8, "workers": 4}, free_keys=["workers"]) as folder:
        assert folder.finished
    assert read_run(tmp_path / "run").config["workers"] == 4
    assert read_run(tmp_path / "run").status.state == "finished"


def test_configurations_are_compared_as_json(tmp_path):
    finish(tmp_path / "run")
    open_run(tmp_path / "run", {"steps": 8, "model": {"width": 3, "rates": (0.1, 0.2)}}).close()


def test_a_folder_with_other_files_is_refused_and_unchanged(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunFolderError, match=r"not empty and is not a run folder \(thesis.tex\)"):
        open_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_can_be_used(tmp_path):
    open_run(tmp_path).close()
    assert read_run(tmp_path).command == "search"


def test_a_file_is_refused_as_a_run_folder(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(RunFolderError, match="is a file, not a folder"):
        open_run(tmp_path / "run")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"config": 3}'])
def test_a_damaged_configuration_raises_a_typed_error(tmp_path, text):
    finish(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(text)
    with pytest.raises(RunFolderError, match=r"config.json cannot be read"):
        open_run(tmp_path / "run")


def test_reading_a_folder_without_a_run_raises_a_typed_error(tmp_path):
    with pytest.raises(RunFolderError, match="there is no run folder at"):
        read_run(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")
def test_the_same_process_cannot_open_a_run_twice(tmp_path):
    with open_run(tmp_path / "run"), pytest.raises(RunFolderError, match=f"in use by process {os.getpid()}"):
        open_run(tmp_path / "run")


def test_temporary_files_of_a_killed_process_are_removed(tmp_path):
    finish(tmp_path / "run")
    leftovers = [tmp_path / "run" / ".x.json.abc.tmp", tmp_path / "run" / "checkpoints" / ".y.abc.tmp"]
    (tmp_path / "run" / "traversals").mkdir()
    leftovers.append(tmp_path / "run" / "traversals" / ".a.png.abc.tmp")
    for path in leftovers:
        path.write_text("half")
    open_run(tmp_path / "run").close()
    assert not any(path.exists() for path in leftovers)


def test_a_read_only_folder_raises_a_typed_error(read_only):
    with read_only() as folder:
        with pytest.raises(RunFolderError, match=r"cannot make .*Permission denied"):
            open_run(folder / "run")
        with pytest.raises(RunFolderError, match=r"cannot write in .*Permission denied"):
            open_run(folder)


def fill_the_disk(path, full_disk):
    with open_run(path) as folder:
        for step in work(folder):
            if step == 5:
                with full_disk(100):
                    folder.append_metrics({"step": 6, "note": "x" * 1000})


def test_a_finished_run_stays_finished_when_reopening_it_fails(tmp_path):
    finish(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "run", KeyboardInterrupt())
    assert read_run(tmp_path / "run").status.state == "finished"


def test_a_run_stopped_by_a_full_disk_resumes_to_the_same_result(tmp_path, full_disk):
    with pytest.raises(RunFolderError, match="free some space"):
        fill_the_disk(tmp_path / "run", full_disk)
    assert read_run(tmp_path / "run").status.state == "failed"
    finish(tmp_path / "run")
    finish(tmp_path / "whole")
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_full_disk_does_not_hide_the_error_that_ended_the_run(tmp_path, full_disk):
    def run():
        with open_run(tmp_path / "run"), full_disk(10):
            write_status(tmp_path / "run", "running")

    with pytest.raises(RunFolderError, match=r"cannot write .*status.json"):
        run()


def test_after_a_damaged_checkpoint_metrics_are_cut_to_the_previous_one(tmp_path):
    finish(tmp_path / "whole")
    finish(tmp_path / "run")
    write_status(tmp_path / "run", "running")
    (tmp_path / "run" / "checkpoints" / "step_000000008.safetensors").write_bytes(b"")
    with open_run(tmp_path / "run") as folder, pytest.warns(UserWarning, match="going on from step 6"):
        list(work(folder))
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_metrics_stay_when_all_checkpoints_are_damaged(tmp_path):
    finish(tmp_path / "run")
    write_status(tmp_path / "run", "running")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.write_bytes(b"")
    folder = open_run(tmp_path / "run")
    with pytest.raises(CheckpointError):
        folder.resume()
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 8
    folder.close()


def test_changed_versions_give_a_warning(tmp_path):
    open_run(tmp_path / "run").close()
    environment = read(tmp_path / "run" / "environment.json")
    environment["packages"]["torch"] = "1.0"
    (tmp_path / "run" / "environment.json").write_text(json.dumps(environment))
    with pytest.warns(UserWarning, match=r"last worked on with torch 1\.0 \(now"):
        open_run(tmp_path / "run").close()


def files_of(path):
    return sorted(str(entry.relative_to(path)) for entry in path.rglob("*"))


INVALID_STARTS = [InvalidArgumentError("`num_directions` is 99"), CheckpointError("nowhere.pkl is damaged")]


@pytest.mark.parametrize("error", INVALID_STARTS)
def test_an_invalid_start_leaves_no_folder_and_the_corrected_command_runs(tmp_path, error):
    with pytest.raises(type(error)):
        fail(tmp_path / "deep" / "run", error)
    assert files_of(tmp_path) == []
    open_run(tmp_path / "deep" / "run", {"steps": 3}, "train-vae").close()


def test_an_invalid_start_leaves_an_empty_folder_empty(tmp_path):
    with pytest.raises(InvalidArgumentError):
        fail(tmp_path, INVALID_STARTS[0])
    assert files_of(tmp_path) == []


def test_an_error_after_the_first_save_keeps_the_folder(tmp_path):
    with pytest.raises(InvalidArgumentError), open_run(tmp_path / "run") as folder:  # noqa: PT012
        folder.save(1, {"total": torch.zeros(1)})
        raise INVALID_STARTS[0]
    assert read_run(tmp_path / "run").status.state == "failed"
    with pytest.raises(RunFolderError, match="another configuration"):
        open_run(tmp_path / "run", {"steps": 3})


def test_a_run_killed_before_its_first_save_can_be_replaced(tmp_path):
    open_run(tmp_path / "run").close()
    with open_run(tmp_path / "run", {"steps": 3}, "train-vae") as folder:
        assert folder.previous is None
    assert read_run(tmp_path / "run").config == {"steps": 3}


def test_a_finished_run_that_saved_nothing_cannot_be_replaced(tmp_path):
    with open_run(tmp_path / "run"):
        pass
    with pytest.raises(RunFolderError, match="another configuration"):
        open_run(tmp_path / "run", {"steps": 3})


def test_a_file_in_place_of_the_checkpoints_is_refused_and_kept(tmp_path):
    open_run(tmp_path / "run").close()
    (tmp_path / "run" / "checkpoints").write_text("mine")
    with (
        pytest.raises(RunFolderError, match=r"cannot make .*checkpoints: File exists"),
        open_run(tmp_path / "run") as folder,
    ):
        folder.save(1, {"total": torch.zeros(1)})
    assert (tmp_path / "run" / "checkpoints").read_text() == "mine"


FULL = [RuntimeError("unexpected pos 64 vs 0"), RunFolderError("cannot write x: No space left on device"), None]


@pytest.mark.parametrize("error", FULL)
def test_after_a_full_disk_the_status_is_failed(tmp_path, full_disk, error):
    # What torch.save raises on a full disk is a RuntimeError. The context is left while the disk is still full.
    folder = open_run(tmp_path / "run")
    folder.append_metrics({"step": 1})
    with full_disk(0), contextlib.suppress(RunFolderError):
        folder.__exit__(None if error is None else type(error), error, None)
    assert read(tmp_path / "run" / "status.json")["state"] == "failed"
    assert "full disk" in read_run(tmp_path / "run").status.reason
    assert not list((tmp_path / "run").glob(".*.tmp"))
    finish(tmp_path / "run")
    assert read_run(tmp_path / "run").status.state == "finished"


SMALL_DISK = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_folder import open_run, torch
run = Path(sys.argv[1]) / "run"
with open_run(run) as folder:
    for step in range(1, 10_000):
        folder.append_metrics({"step": step, "note": "x" * 1000})
        folder.save(step, {"total": torch.zeros(20_000)}, {"step": step})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a tmpfs that a process can mount for itself")
def test_on_a_full_file_system_the_status_is_failed(tmp_path):
    mount = f'mount -t tmpfs -o size=300k none {tmp_path} && {sys.executable} -c "$CODE" {tmp_path} {FOLDER}; '
    mount += f"cat {tmp_path}/run/status.json"
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", mount],
        env={**os.environ, "CODE": SMALL_DISK},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this user cannot mount a tmpfs")
    assert "No space left on device" in done.stderr
    assert json.loads(done.stdout)["state"] == "failed"


def damage(path):
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(bytes(data))


def test_damaged_metrics_of_a_finished_run_are_reported(tmp_path):
    finish(tmp_path / "run")
    damage(tmp_path / "run" / "metrics.jsonl")
    with pytest.warns(UserWarning, match=r"metrics.jsonl is damaged"), open_run(tmp_path / "run") as folder:
        assert folder.finished
    (tmp_path / "run" / "metrics.jsonl").unlink()
    with pytest.warns(UserWarning, match=r"metrics.jsonl is gone"), open_run(tmp_path / "run") as folder:
        assert folder.finished


def test_metrics_without_a_checksum_are_checked_line_by_line(tmp_path):
    finish(tmp_path / "run")
    write_status(tmp_path / "run", "finished")
    open_run(tmp_path / "run").close()
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1}\n{"st\n[3]\n')
    with pytest.warns(UserWarning, match="damaged in line 2, 3"):
        open_run(tmp_path / "run").close()


def test_a_damaged_last_checkpoint_is_recomputed_from_the_previous_one(tmp_path):
    finish(tmp_path / "run")
    before = contents(tmp_path / "run")
    damage(tmp_path / "run" / "checkpoints" / "step_000000008.safetensors")
    with pytest.warns(UserWarning, match="going on from step 6 before it"):
        finish(tmp_path / "run")
    assert contents(tmp_path / "run") == before
    with open_run(tmp_path / "run") as folder:
        assert folder.finished


def test_damaged_lines_of_metrics_are_reported_when_a_run_resumes(tmp_path):
    finish(tmp_path / "run")
    write_status(tmp_path / "run", "running")
    lines = (tmp_path / "run" / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "run" / "metrics.jsonl").write_bytes(
        b"".join([lines[0], b"\x00\xff\n", *lines[2:], b'{"step": 9, "to'])
    )
    with pytest.warns(UserWarning, match="damaged: 1 of its 9 lines"), open_run(tmp_path / "run") as folder:
        folder.resume()
    assert len((tmp_path / "run" / "metrics.jsonl").read_bytes().splitlines()) == 7


@pytest.mark.parametrize("status", ['{"state": "done", "reason": "", "time": "", "pid": 1}', "[" * 100_000])
def test_an_invalid_status_reads_as_none(tmp_path, status):
    finish(tmp_path / "run")
    (tmp_path / "run" / "status.json").write_text(status)
    assert read_run(tmp_path / "run").status is None


def test_partial_work_stays_until_it_is_dropped_and_damage_is_reported(tmp_path):
    with open_run(tmp_path / "run") as folder:
        assert folder.load_partial("a") is None
        folder.save_partial("a", {"sums": torch.arange(3)})
        assert torch.equal(folder.load_partial("a")["sums"], torch.arange(3))
        assert folder.checkpoints.steps() == []
        damage(tmp_path / "run" / "checkpoints" / "partial_a.safetensors")
        with pytest.warns(UserWarning, match="starts over"):
            assert folder.load_partial("a") is None
        folder.drop_partial()
        assert files_of(tmp_path / "run" / "checkpoints") == []


TRAIN = "--data scenes-32 --network fc --width 0.05 --steps 3 --batch-size 4 --log-every 1 --device cpu"
ROOT = Path(__file__).parents[2]


def train(out, *options):
    with pytest.raises(SystemExit) as left:
        program.main(["train-vae", *TRAIN.split(), *options, "--out", str(out)])
    return left.value.code


@pytest.mark.parametrize("wrong", [["--topdis", "1", "--topdis-points", "1"], ["--compile", "cuda-graphs"]])
def test_invalid_options_leave_no_folder_and_the_corrected_command_runs(tmp_path, wrong):
    assert train(tmp_path / "deep" / "run", *wrong) == 2
    assert not (tmp_path / "deep").exists()
    assert train(tmp_path / "deep" / "run") == 0


def test_a_damaged_last_checkpoint_of_a_training_is_reported_and_recomputed(tmp_path, capsys):
    assert train(tmp_path / "run", "--checkpoint-every-s", "0") == 0
    last = tmp_path / "run" / "checkpoints" / "step_000000003.safetensors"
    metrics = tmp_path / "run" / "metrics.jsonl"
    before = last.read_bytes(), metrics.read_bytes()
    last.write_bytes(before[0][:-1] + bytes([before[0][-1] ^ 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert train(tmp_path / "run", "--checkpoint-every-s", "0") == 0
    assert "is damaged: its contents differ from their SHA-256" in capsys.readouterr().err
    assert (last.read_bytes(), metrics.read_bytes()) == before


def test_a_training_without_an_intact_checkpoint_raises_a_typed_error(tmp_path, capsys):
    assert train(tmp_path / "run") == 0
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.write_bytes(b"")
    assert train(tmp_path / "run") == 1
    assert "no usable checkpoint" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("command", ["discover", "discover-s", "train-vae", "suite-cell"])
def test_repeatedly_killed_runs_end_with_the_same_bytes(command):
    script = ROOT / "benchmarks" / "kill_and_resume.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, script, command, "--kills", "50"], env=environment, check=True)
