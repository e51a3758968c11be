"""Two processes of gloo against one: the script below runs in all of them and writes what it got."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.distributed import join_process_group, row_parallel
from ganspace_topdis.runs.progress import is_secondary_process

ROOT = Path(__file__).parents[2]

SCRIPT = """
import json, os, sys
import torch
from torch import nn
from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.distributed import all_reduce_min, join_process_group, row_parallel

torch.set_num_threads(1)

def numbers(rows):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    batch = torch.randn(rows, 3, dtype=torch.float64, requires_grad=True)
    outputs = row_parallel(network, batch)
    again = row_parallel(lambda codes: codes.sin(), batch)
    loss = torch.cdist(outputs, outputs).pow(2).sum().sqrt() + (again.prod(dim=0)).sum()  # no sum over rows
    gradients = torch.autograd.grad(loss, [batch, *network.parameters()])
    return [outputs.tolist(), again.tolist(), *(gradient.tolist() for gradient in gradients)]

def fail():
    raise RunFolderError("the folder is in use")

with join_process_group("cpu") as group:
    facts = {"rank": group.rank, "size": group.size, "is_main": group.is_main}
    facts["numbers"] = {rows: numbers(rows) for rows in (1, 2, 5, 8)}
    facts["any_true"] = [group.any_true(group.rank == group.size - 1), group.any_true(False)]
    facts["minimum"] = all_reduce_min(5 - group.rank)
    facts["broadcast"] = group.broadcast(lambda: ["of rank", group.rank])
    try:
        group.broadcast(fail)
    except RunFolderError as error:
        facts["error"] = str(error)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # imports much of torch
tasks = os.listdir("/proc/self/task") if sys.platform == "linux" else []
facts["threads"] = [open(f"/proc/self/task/{task}/comm").read().strip() for task in tasks]
with open(f"{sys.argv[1]}/{group.rank}.json", "w") as file:
    json.dump(facts, file)
"""


def run(folder, num_processes):
    script = folder / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    command = [sys.executable, *(launcher if num_processes > 1 else []), str(script), str(folder)]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=120)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(num_processes)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return run(tmp_path_factory.mktemp("alone"), 1)[0]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    return run(tmp_path_factory.mktemp("together"), 2)


@pytest.mark.parametrize("rows", ["1", "2", "5", "8"])
def test_values_and_gradients_of_two_processes_are_those_of_one(alone, together, rows):
    for process in together:
        for one, two in zip(alone["numbers"][rows], process["numbers"][rows], strict=True):
            torch.testing.assert_close(torch.tensor(two), torch.tensor(one), rtol=1e-6, atol=1e-6)


def test_every_process_gets_the_same_bits(together):
    assert together[0]["numbers"] == together[1]["numbers"]


def test_only_rank_zero_leads(together):
    assert [(process["rank"], process["is_main"], process["size"]) for process in together] == [
        (0, True, 2),
        (1, False, 2),
    ]


def test_a_stop_requested_of_one_process_stops_all(together):
    assert all(process["any_true"] == [True, False] for process in together)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_no_thread_of_gloo_outlives_the_group(together):
    assert all(process["threads"] for process in together)
    assert not [name for process in together for name in process["threads"] if "gloo" in name]


def test_the_minimum_is_taken_over_all_processes(alone, together):
    assert alone["minimum"] == 5
    assert all(process["minimum"] == 4 for process in together)


def test_the_main_process_broadcasts_its_result_and_its_error(together):
    assert all(process["broadcast"] == ["of rank", 0] for process in together)
    assert all(process["error"] == "the folder is in use" for process in together)


def test_without_torchrun_this_process_is_the_group():
    with join_process_group("cpu") as group:
        assert (group.rank, group.size, group.is_main) == (0, 1, True)
        assert group.any_true(True)
        assert not group.any_true(False)
        assert group.broadcast(lambda: 7) == 7
        batch = torch.ones(2, 2)
        assert row_parallel(lambda codes: codes, batch) is batch


def test_a_secondary_process_is_known_before_it_joins_a_group(monkeypatch):
    assert not is_secondary_process()
    monkeypatch.setenv("RANK", "1")
    assert is_secondary_process()


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(
            InvalidArgumentError, match=r"process 1 of this machine has no device of its own: there are 1 of cuda"
        ),
        join_process_group("auto"),
    ):
        pass
