"""Gives every reader hostile and mutated files, and checks that each is read or refused in one line, cheaply.

    python benchmarks/fuzz_files.py                       # all hand-made files and 20,000 mutated ones
    python benchmarks/fuzz_files.py --count 400 --seed 3
    python benchmarks/fuzz_files.py --only checkpoint --case 1234   # one case again, in this process

For each file: nothing is executed, imported or opened for writing (checked by an audit hook), the memory grows by less
than 1 GB, it takes less than 20 s, and the result is a value or one of our errors with a message of one line.
Workers run with a memory limit and an alarm; one that dies is reported with its case and replaced.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

ALARM_S = 60
ROOM = 4 << 30
"""Of address space, beyond what the imports took."""


def cases(seed: int, count: int, only: str | None) -> Iterator[tuple[str, str, bytes]]:
    """Kind, description, and bytes: the hand-made files, then `count` mutated ones."""
    from tests.fuzzing.hostile import hostile_files
    from tests.fuzzing.mutations import mutated
    from tests.fuzzing.readers import readers

    for kind, files in hostile_files().items():
        if only in (None, kind):
            yield from ((kind, what, data) for what, data in files.items())
    known = {kind: reader.samples for kind, reader in readers().items() if only in (None, kind)}
    kinds = [*known, *["checkpoint"] * (len(known) // 2 if "checkpoint" in known else 0)]
    everything = [sample for samples in known.values() for sample in samples]
    for index in range(count):
        rng = random.Random(f"{seed} {index}")
        kind = rng.choice(kinds)
        which = rng.randrange(len(known[kind]))
        sample = known[kind][which]
        others = known[kind] if rng.random() < 0.8 else everything
        yield kind, f"mutation {index} of sample {which}", mutated(sample, others, rng)


def work(options: argparse.Namespace) -> None:
    """Try the cases from `--start` on, every `--workers`th, and print one line of JSON per case."""
    import warnings

    import torch

    from tests.fuzzing.readers import readers
    from tests.fuzzing.trial import run_case, settle

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    known = readers()
    with tempfile.TemporaryDirectory() as name:
        for kind, reader in known.items():
            for sample in reader.samples:  # also imports what is imported at first use
                (folder := Path(name) / kind).mkdir(exist_ok=True)
                (folder / reader.file_name).write_bytes(sample)
                reader.read(folder / reader.file_name)
        settle()
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
        for number, (kind, what, data) in enumerate(cases(options.seed, options.count, options.only)):
            if number < options.start or number % options.workers != options.worker % options.workers:
                continue
            print(json.dumps({"case": number, "kind": kind, "what": what}), flush=True)
            signal.alarm(ALARM_S)
            outcome = run_case(known[kind], data, Path(name) / kind)
            signal.alarm(0)
            print(json.dumps(outcome.__dict__), flush=True)


def results(options: argparse.Namespace, worker: int) -> Iterator[dict]:
    """The results of one worker, which is restarted after a case that killed it."""
    start, done = 0, False
    while not done:
        command = [
            sys.executable,
            __file__,
            "--worker",
            str(worker),
            "--start",
            str(start),
            "--seed",
            str(options.seed),
        ]
        command += ["--count", str(options.count), "--workers", str(options.workers)]
        command += ["--only", options.only] if options.only else []
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert process.stdout is not None
        current: dict = {}
        for line in process.stdout:
            value = json.loads(line)
            if "case" in value:
                current = value
            else:
                yield {**current, **value}
                start, current = current["case"] + 1, {}
        code = process.wait()
        if current:
            yield {**current, "result": "died", "fault": f"the worker died ({code})", "seconds": ALARM_S, "growth": 0}
            start = current["case"] + 1
        elif code:
            raise SystemExit(f"a worker ended with {code}")
        done = not current


def main(arguments: list[str] | None = None) -> int:
    """Try all; print counts, the largest growth and time, and every fault. Returns 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="mutated files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one kind of file")
    parser.add_argument("--case", type=int, help="one case again, in this process, with its traceback")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker is not None:
        work(options)
        return 0
    if options.case is not None:
        return again(options)
    table: dict[str, Counter] = {}
    worst: dict[str, dict] = {}
    faults = 0
    for worker in range(options.workers):
        for found in results(options, worker):
            made = "hand-made" if not found["what"].startswith("mutation ") else "mutated"
            table.setdefault(found["kind"], Counter())[f"{made} {found['result']}"] += 1
            for measure in ("seconds", "growth"):
                if found[measure] >= worst.get(measure, {measure: 0})[measure]:
                    worst[measure] = found
            if found["fault"]:
                faults += 1
                print(f"FAULT case {found['case']}, {found['kind']}, {found['what']}: {found['fault']}", flush=True)
    report(table, worst, faults)
    return 1 if faults else 0


def report(table: dict[str, Counter], worst: dict[str, dict], faults: int) -> None:
    """Print the counts and the costliest cases."""
    columns = ["hand-made refused", "hand-made read", "mutated refused", "mutated read"]
    for kind, counts in [*table.items(), ("all", sum(table.values(), Counter()))]:
        print(f"{kind:>16}: " + ", ".join(f"{counts[column]} {column}" for column in columns))
    for measure, unit, scale in (("seconds", "s", 1), ("growth", "MB", 1 << 20)):
        found = worst[measure]
        print(f"most {measure}: {found[measure] / scale:.2f} {unit} ({found['kind']}, {found['what']})")
    print(f"faults: {faults}")


def again(options: argparse.Namespace) -> int:
    """Read one case in this process, for its traceback."""
    from tests.fuzzing.readers import readers

    kind, what, data = list(cases(options.seed, options.count, options.only))[options.case]
    reader = readers()[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / reader.file_name
        path.write_bytes(data)
        print(f"{kind}, {what}, {len(data):,} bytes")
        print(repr(reader.read(path))[:300])
    return 0


if __name__ == "__main__":
    sys.exit(main())
