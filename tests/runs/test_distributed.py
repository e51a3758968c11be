"""Two processes of gloo against one: the script below runs in all of them and writes what it got."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.distributed import by_rows, join_world
from ganspace_topdis.runs.ranks import is_follower

ROOT = Path(__file__).parents[2]

SCRIPT = """
import json, os, sys
import torch
from torch import nn
from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.distributed import by_rows, join_world, smallest

torch.set_num_threads(1)

def numbers(rows):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    batch = torch.randn(rows, 3, dtype=torch.float64, requires_grad=True)
    made = by_rows(network, batch)
    again = by_rows(lambda codes: codes.sin(), batch)
    loss = torch.cdist(made, made).pow(2).sum().sqrt() + (again.prod(dim=0)).sum()  # no sum over rows
    gradients = torch.autograd.grad(loss, [batch, *network.parameters()])
    return [made.tolist(), again.tolist(), *(gradient.tolist() for gradient in gradients)]

def fail():
    raise RunFolderError("the leader's folder is in use")

with join_world("cpu") as world:
    facts = {"rank": world.rank, "size": world.size, "leads": world.leads}
    facts["numbers"] = {rows: numbers(rows) for rows in (1, 2, 5, 8)}
    facts["agreed"] = [world.agreed(world.rank == world.size - 1), world.agreed(False)]
    facts["smallest"] = smallest(5 - world.rank)
    facts["from_leader"] = world.from_leader(lambda: ["of rank", world.rank])
    try:
        world.from_leader(fail)
    except RunFolderError as error:
        facts["error"] = str(error)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # imports much of torch
tasks = os.listdir("/proc/self/task") if sys.platform == "linux" else []
facts["threads"] = [open(f"/proc/self/task/{task}/comm").read().strip() for task in tasks]
with open(f"{sys.argv[1]}/{world.rank}.json", "w") as file:
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
    assert [(process["rank"], process["leads"], process["size"]) for process in together] == [
        (0, True, 2),
        (1, False, 2),
    ]


def test_one_process_that_is_asked_to_stop_stops_all(together):
    assert all(process["agreed"] == [True, False] for process in together)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_no_thread_of_gloo_outlives_the_group(together):
    assert all(process["threads"] for process in together)
    assert not [name for process in together for name in process["threads"] if "gloo" in name]


def test_the_smallest_number_is_that_of_any_process(alone, together):
    assert alone["smallest"] == 5
    assert all(process["smallest"] == 4 for process in together)


def test_the_leaders_value_and_its_error_reach_every_process(together):
    assert all(process["from_leader"] == ["of rank", 0] for process in together)
    assert all(process["error"] == "the leader's folder is in use" for process in together)


def test_without_torchrun_this_process_is_the_world():
    with join_world("cpu") as world:
        assert (world.rank, world.size, world.leads) == (0, 1, True)
        assert world.agreed(True)
        assert not world.agreed(False)
        assert world.from_leader(lambda: 7) == 7
        batch = torch.ones(2, 2)
        assert by_rows(lambda codes: codes, batch) is batch


def test_a_follower_is_known_before_any_group_is_joined(monkeypatch):
    assert not is_follower()
    monkeypatch.setenv("RANK", "1")
    assert is_follower()


def test_more_processes_than_cards_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InvalidArgumentError, match=r"process 1 of this machine has no card"), join_world("auto"):
        pass
