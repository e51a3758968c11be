"""Rehearsal of benchmarks/on_gpu.py, the one command for the day a GPU is there, on the second device."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device.mimic import Mimic

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.on_gpu import MOST_BYTES, Record, arguments, is_over, parts, run_command, to_markdown  # noqa: E402


def rehearse(out: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "benchmarks" / "on_gpu.py"), "--rehearse", "--out", str(out)]
    command += ["--device", "mimic", "--before", "tests.device.mimic:load_mimic", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)


def states(out: Path) -> dict[str, str]:
    return {name: part["state"] for name, part in json.loads((out / "results.json").read_text()).items()}


def test_parts_that_are_done_are_not_repeated_and_the_page_holds_their_tables(built: Mimic, tmp_path: Path) -> None:
    out = tmp_path / "gpu"
    first = rehearse(out, "--only", "operations", "autoencoders")
    assert first.returncode == 0, first.stdout + first.stderr
    assert states(out) == {"operations": "done", "autoencoders": "done"}
    page = (out / "results.md").read_text()
    assert "\n| bias_act | float32 | contiguous_format |" in page
    assert "NOT compiled: plain torch with itself" in page
    assert "\n| beta-vae |" in page
    second = rehearse(out, "--only", "operations", "autoencoders")
    assert (second.returncode, second.stdout) == (0, "")
    assert (out / "results.md").read_text() == page


@pytest.mark.slow
def test_every_part_runs_and_leaves_at_most_eight_small_files(built: Mimic, tmp_path: Path) -> None:
    out = tmp_path / "gpu"
    done = rehearse(out)
    assert done.returncode == 0, done.stdout + done.stderr + (out / "results.md").read_text()
    assert set(states(out).values()) == {"done"}
    files = list(out.iterdir())
    assert {"scenes-64.safetensors", "scenes-64-state.pt", "replication-cells.csv"} <= {file.name for file in files}
    assert len(files) <= 8
    assert all(file.stat().st_size <= MOST_BYTES for file in files)


def test_a_part_that_fails_is_named_and_the_next_one_runs(built: Mimic, tmp_path: Path) -> None:
    out = tmp_path / "gpu"
    (tmp_path / "gpu-work").mkdir()
    (tmp_path / "gpu-work" / "scenes-64").write_text("a file where a folder should be")
    done = rehearse(out, "--only", "scenes-64", "seeds")
    assert done.returncode == 1
    assert "failed: scenes-64" in done.stderr
    assert states(out) == {"scenes-64": "failed", "seeds": "done"}
    assert "FileExistsError" in (out / "results.md").read_text()


def test_a_command_that_runs_out_of_time_is_stopped_and_keeps_its_output(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)\n")
    code, text = run_command((str(script),), "", 0.0, 2.0)
    assert code is None
    assert "begun" in text


def test_what_has_had_its_time_is_over_unless_it_continues(tmp_path: Path) -> None:
    by_name = {part.name: part for part in parts(arguments(["--out", str(tmp_path)]))}
    step, training = by_name["step-1024"], by_name["scenes-64"]

    def record(state: str, seconds: float) -> Record:
        return Record(title="", state=state, seconds=seconds, output="")

    assert not is_over(step, None)
    assert not is_over(step, record("failed", 5))
    assert not is_over(step, record("stopped", 5))  # the whole command's time was over
    assert is_over(step, record("stopped", 60 * step.minutes))
    assert not is_over(training, record("stopped", 60 * training.minutes))
    assert is_over(training, record("done", 5))


def test_tables_stand_free_and_all_else_is_indented() -> None:
    record = Record(title="A part", state="done", seconds=1.2, output="a line\n| a |\n|---|\n| 1 |\nend\n")
    page = to_markdown({"a": record}, "command")
    assert "\n    a line\n\n| a |\n|---|\n| 1 |\n\n    end\n" in page
