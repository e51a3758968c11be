"""Everything that waits for a GPU, in one command: what is right, how fast it is, and as much training as time allows.

    python benchmarks/on_gpu.py --minutes 25 --out gpu          # the same command does what is left

Parts run in order of worth, each in a process of its own with its share of the time: the CUDA operations against plain
torch, the generator at 256 and 1024 px, steps and whole default runs of `discover` (at most 12 GB), steps of the
autoencoders, the 64 px generator of scenes, and the cells of the replication. A part that fails or runs out of time is
recorded with what it printed, and the next one begins; trainings save their work when they are stopped.

OUT gets results.json, results.md (for docs/), and what the trainings made: eight files at most, each below 16 MB.
Larger files (`--work`) need not be kept. Exits with 1 if a part failed. `--rehearse` runs every part in its smallest
size; `--before MODULE:FUNCTION` is called first in every process, and makes a device known to torch that is not one of
its own (the suite's cells, processes of processes, then run on the CPU).
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ganspace_topdis.runs.files import write_json, write_text  # noqa: E402

MOST_BYTES = 16 * 2**20
GRACE_S = 30.0
_LITTLE_SEARCH = "--steps 1 --num-span-codes 64 --num-probes 16 --batch-size 8 --seeds 0 --frames 3 --mix 0"
_RUN = """
import importlib, os, runpy, sys
before, memory_gb, target = sys.argv[1:4]
sys.argv = sys.argv[3:]
sys.path[:0] = [os.path.dirname(target)]
if before:
    module, name = before.split(":")
    getattr(importlib.import_module(module), name)()
if float(memory_gb):
    import torch
    if torch.cuda.is_available():
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(float(memory_gb) * 1e9 / total, 1.0))
code = 0
try:
    runpy.run_path(target, run_name="__main__")
except SystemExit as left:
    code = left.code if isinstance(left.code, int) else int(left.code is not None)
    if isinstance(left.code, str):
        print(left.code, file=sys.stderr)
except BaseException:
    import traceback
    traceback.print_exc()
    code = 1
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # a device's autograd threads may still run, and would abort the interpreter's exit
"""
_SMALL_GRID = """name = "rehearsal"
seeds = [0]
metrics = ["mig"]
max_images = 300
[base]
data = "scenes-32"
network = "fc"
width = 0.05
steps = 2
batch_size = 8
[axes.method.beta-VAE]
method = "beta-vae"
"""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One measurement.

    Attributes:
        name: its key in results.json.
        title: its heading.
        minutes: the most that it may take.
        commands: scripts with their arguments, run in turn.
        after: commands that run whether or not time ran out, to collect what there is.
        keep: files that are copied to the results, from their path in the work folder to their name.
        memory_gb: the most memory of the device that it may hold; 0: all.
        continues: whether it is a training that goes on where it was stopped, so that running out of time is no fault.
    """

    name: str
    title: str
    minutes: float
    commands: tuple[tuple[str, ...], ...]
    after: tuple[tuple[str, ...], ...] = ()
    keep: dict[str, str] = field(default_factory=dict)
    memory_gb: float = 0.0
    continues: bool = False


@dataclass(kw_only=True)
class Record:
    """What became of a part: "done", "stopped" (out of time) or "failed", its seconds and its output."""

    title: str
    state: str
    seconds: float
    output: str


def parts(options: argparse.Namespace) -> list[Part]:
    """All parts, in order of worth."""
    sizes = (16,) if options.rehearse else (256, 1024)
    of_sizes = [part for px in sizes for part in _of_size(px, options)]
    return [*_of_the_package(options), *of_sizes, *_autoencoders(options), *_trainings(options)]


def _small(options: argparse.Namespace, text: str, whole: str = "") -> tuple[str, ...]:
    """Options of a command: `text` in a rehearsal, else `whole`."""
    return tuple((text if options.rehearse else whole).split())


def _of_the_package(options: argparse.Namespace) -> list[Part]:
    device, out = ("--device", options.device), f"--out={options.work}/packaged"
    shape = _small(options, "--shape 1 4 16 16 --repeats 1")
    return [
        Part(
            name="operations",
            title="CUDA operations: values, gradients of both orders, time",
            minutes=3,
            commands=(("benchmarks/cuda_operations.py", *device, *shape),),
        ),
        Part(
            name="discover-packaged",
            title="Default `discover` on the packaged generator",
            minutes=2,
            commands=(("cli.py", "discover", *device, *_small(options, _LITTLE_SEARCH), out, "--quiet"),),
        ),
    ]


def _of_size(px: int, options: argparse.Namespace) -> list[Part]:
    device, file = ("--device", options.device), f"{options.work}/{px}.safetensors"
    forms = _small(options, "--batch 1 --repeats 1", "--compile --batch 1 4")
    step = _small(options, "--batch-size 4 --directions 2 --features 8 --steps 1")
    search = _small(options, f"{_LITTLE_SEARCH} --num-directions 2 --quiet", "--features 16 --quiet")
    tiny = _small(options, "--rehearse")
    return [
        Part(
            name=f"generator-{px}",
            title=f"Generator, config-f, {px} px",
            minutes=3,
            commands=(("benchmarks/generator.py", *device, "--resolution", str(px), *forms),),
        ),
        Part(
            name=f"step-{px}",
            title=f"Steps of a search, config-f, {px} px",
            minutes=2,
            commands=(("benchmarks/discovery_scale.py", *device, "--resolution", str(px), *step),),
            memory_gb=12,
        ),
        Part(
            name=f"discover-{px}",
            title=f"Default `discover`, config-f, {px} px, 12 GB",
            minutes=4,
            commands=(
                ("benchmarks/on_gpu.py", "--write-generator", str(px), "--out", file, *tiny),
                ("cli.py", "discover", f"--ckpt={file}", f"--out={options.work}/discover-{px}", *device, *search),
            ),
            memory_gb=12,
        ),
    ]


def _autoencoders(options: argparse.Namespace) -> list[Part]:
    device = ("--device", options.device)
    size = _small(options, "--steps 1 --network burgess --batch-size 4 --methods beta-vae")
    forms = ("", "--precision bf16", "--compile default", "--compile cuda-graphs")[: 1 if options.rehearse else None]
    seeds = _small(options, "--steps 1 --networks fc:0.05")
    return [
        Part(
            name="autoencoders",
            title="Steps of the autoencoders: eager, bf16, compiled, CUDA graphs",
            minutes=5,
            commands=tuple(("benchmarks/vae_step.py", *device, *size, *form.split()) for form in forms),
        ),
        Part(
            name="seeds",
            title="Several seeds in one process",
            minutes=2,
            commands=(("benchmarks/vae_seeds.py", *device, *seeds),),
        ),
    ]


def _trainings(options: argparse.Namespace) -> list[Part]:
    work, tiny = options.work, "--resolution 32 --max-steps 1 --channels 8 8 8 8 --discriminator-width 8 --batch 4"
    gan = ("--num-images", "4000000", *_small(options, tiny, "--resolution 64"))
    grid = f"{work}/small.toml" if options.rehearse else "replication-strength"
    cells_on = "cpu" if options.before else options.device
    return [
        Part(
            name="scenes-64",
            title="Generator of scenes, 64 px",
            minutes=10,
            commands=(("benchmarks/train_scenes_gan.py", f"{work}/scenes-64", "--device", options.device, *gan),),
            after=(("benchmarks/export_scenes.py", f"{work}/scenes-64", f"{work}/scenes-64.safetensors"),),
            keep={"scenes-64.safetensors": "scenes-64.safetensors", "scenes-64/state.pt": "scenes-64-state.pt"},
            continues=True,
        ),
        Part(
            name="replication",
            title="Cells of the replication",
            minutes=60,
            commands=(("cli.py", "suite", grid, "--device", cells_on, f"--out={work}/replication", "--no-pictures"),),
            after=(("cli.py", "report", f"{work}/replication", "--out", f"{work}/report"),),
            keep={"report/cells.csv": "replication-cells.csv"},
            continues=True,
        ),
    ]


def is_over(part: Part, record: Record | None) -> bool:
    """Whether nothing more can come of it: it is done, or it had all its time and cannot go on where it was stopped."""
    if record is None or record.state == "failed":
        return False
    return record.state == "done" or (not part.continues and record.seconds >= 60 * part.minutes)


def run_part(part: Part, options: argparse.Namespace, left_s: float) -> Record:
    """Run its commands in turn, for at most its minutes or `left_s`."""
    since, output, state = time.monotonic(), "", "done"
    for command in part.commands:
        room_s = min(60 * part.minutes, left_s) - (time.monotonic() - since)
        code, text = run_command(command, options.before, part.memory_gb, max(room_s, 1.0))
        output += text
        if code is None:
            state = "stopped"
            break
        if code:
            state = "failed"
            break
    for command in part.after:
        output += run_command(command, options.before, 0.0, GRACE_S)[1]
    for source, name in part.keep.items():
        path = options.work / source
        if path.exists() and path.stat().st_size <= MOST_BYTES:
            shutil.copy(path, options.out / name)
    return Record(title=part.title, state=state, seconds=round(time.monotonic() - since, 1), output=output[-20_000:])


def run_command(command: Sequence[str], before: str, memory_gb: float, room_s: float) -> tuple[int | None, str]:
    """Its exit code, None if it was stopped, and its output. A command that is stopped may save its work first."""
    target, *arguments = command
    line = [sys.executable, "-c", _RUN, before, str(memory_gb), str(ROOT / target), *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )
    try:
        return _ended(process, room_s)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def _ended(process: "subprocess.Popen[str]", room_s: float) -> tuple[int | None, str]:
    try:
        text, _ = process.communicate(timeout=room_s)
        return process.returncode, text
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
    try:
        text, _ = process.communicate(timeout=GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
    return None, text


def to_markdown(records: dict[str, Record], line: str) -> str:
    """The records as a page: a heading each, its state, and what it printed; tables as tables."""
    text = f"# Measured on a GPU\n\n    {line}\n"
    for record in records.values():
        text += f"\n## {record.title}\n\n{record.state}, {record.seconds:.0f} s\n\n"
        lines = [part.rstrip() for part in record.output.splitlines()]
        for kept, following in zip(lines, [*lines[1:], ""], strict=True):
            in_table = kept.startswith("|")
            text += (kept if in_table else f"    {kept}") + "\n"
            if in_table != following.startswith("|"):
                text += "\n"
    return text.rstrip() + "\n"


def write_generator(px: int, path: Path, small: bool) -> None:
    """Save a generator of random weights and config-f's widths, or of a few channels."""
    import torch

    from stylegan2 import Generator, save

    torch.manual_seed(0)
    widths = {"z_dim": 8, "w_dim": 8, "num_mapping_layers": 1, "channel_base": 64} if small else {}
    save(Generator(img_resolution=px, **widths).eval(), path, half=True)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results, at most eight files")
    parser.add_argument("--work", type=Path, help="folder of everything else  [default: OUT-work]")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="+", help="names of parts")
    parser.add_argument("--rehearse", action="store_true", help="every part in its smallest size")
    parser.add_argument("--before", default="", help="MODULE:FUNCTION, called first in every process")
    parser.add_argument("--write-generator", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    options.work = options.work or options.out.with_name(f"{options.out.name}-work")
    return options


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    if options.write_generator:
        write_generator(options.write_generator, options.out, options.rehearse)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    options.work.mkdir(parents=True, exist_ok=True)
    options.work = options.work.resolve()
    if options.rehearse:
        write_text(options.work / "small.toml", _SMALL_GRID)
    state = options.out / "scenes-64-state.pt"
    if state.exists() and not (options.work / "scenes-64" / "state.pt").exists():
        (options.work / "scenes-64").mkdir(exist_ok=True)
        shutil.copy(state, options.work / "scenes-64" / "state.pt")
    file = options.out / "results.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    records = {name: Record(**record) for name, record in known.items()}
    deadline_s = time.monotonic() + 60 * options.minutes
    chosen = [part for part in parts(options) if not options.only or part.name in options.only]
    for part in chosen:
        left_s = deadline_s - time.monotonic()
        if left_s < 1 or is_over(part, records.get(part.name)):
            continue
        print(f"{part.name}, at most {min(60 * part.minutes, left_s):.0f} s ", end="", flush=True)
        records[part.name] = record = run_part(part, options, left_s)
        print(f"{record.state} after {record.seconds:.0f} s", flush=True)
        write_json(file, {name: asdict(each) for name, each in records.items()})
        line = f"python benchmarks/on_gpu.py --minutes {options.minutes:g} --device {options.device}"
        write_text(options.out / "results.md", to_markdown(records, line))
    missing = [part.name for part in chosen if part.name not in records]
    if missing:
        print(f"no time was left for {', '.join(missing)}; the same command continues there")
    if failed := [name for name, record in records.items() if record.state == "failed"]:
        sys.exit(f"failed: {', '.join(failed)}; see {options.out / 'results.md'}")


if __name__ == "__main__":
    main()
