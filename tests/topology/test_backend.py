import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numba import njit
from numba.core.dispatcher import Dispatcher

from ganspace_topdis.topology import backend, kernels
from ganspace_topdis.topology.backend import bars_of_pairs
from ganspace_topdis.topology.reduction import code_of, is_half_full, new_table, rehashed, set_code
from tests.topology.pairs import distances_of_kind


def float32_pairs(num_pairs: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    pairs = [distances_of_kind("gaussian", 30, rng) for _ in range(num_pairs)]
    return [(A.astype(np.float32), np.minimum(A, B).astype(np.float32)) for A, B in pairs]


@pytest.mark.parametrize("num_threads", [2, 3, 8])
def test_any_number_of_threads_gives_the_same_bars_in_the_same_order(num_threads):
    pairs = float32_pairs(5)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = bars_of_pairs(pairs)
        torch.set_num_threads(num_threads)
        together = bars_of_pairs(pairs)
    finally:
        torch.set_num_threads(before)
    assert all((a[0] == b[0]).all() for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pair_is_valid_only_if_every_entry_equals_its_mirror_image(dtype):
    A, B = distances_of_kind("gaussian", 37, np.random.default_rng(0))
    outer, inner = np.maximum(A, B).astype(dtype), np.minimum(A, B).astype(dtype)
    assert backend.is_valid_pair(outer, inner)
    for i, j in np.argwhere(~np.eye(37, dtype=bool)):
        faulty = inner.copy()
        faulty[i, j] = np.nextafter(faulty[i, j], dtype(0))
        assert not backend.is_valid_pair(outer, faulty)


def test_without_numba_ripser_finds_the_same_edges_after_one_warning(monkeypatch):
    pairs = float32_pairs(2)
    expected = bars_of_pairs(pairs)
    monkeypatch.setitem(sys.modules, "ganspace_topdis.topology.kernels", None)
    monkeypatch.delattr("ganspace_topdis.topology.kernels", raising=False)
    backend._kernels.cache_clear()
    try:
        with pytest.warns(UserWarning, match="numba cannot be used"):
            found = bars_of_pairs(pairs)
        tree = backend.spanning_tree(pairs[0][0])
    finally:
        monkeypatch.undo()
        backend._kernels.cache_clear()
    for (ours, _), (theirs, _) in zip(expected, found, strict=True):
        # Where outer and inner agree at an edge, either may be said to be read there.
        assert sorted(ours[:, :4].tolist()) == sorted(theirs[:, :4].tolist())
    assert (tree == backend._tree_by_scipy(pairs[0][0])).all()


def printed(program: str, environment: dict[str, str], folder: Path) -> str:
    """What a fresh process prints that runs `program`."""
    command = [sys.executable, "-W", "error", "-c", program]
    run = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_the_compiled_code_is_cached_where_the_installation_cannot_be_written(tmp_path):
    package = tmp_path / "site" / "ganspace_topdis"
    shutil.copytree(Path(backend.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "topology" / "__pycache__").write_text("a file here keeps even root from making the folder")
    program = (
        "import numpy as np; from ganspace_topdis.topology.kernels import spanning_tree;"
        "spanning_tree(np.zeros((2, 2))); print(sum(spanning_tree.stats.cache_hits.values()))"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("NUMBA_CACHE_DIR", None)
    assert [printed(program, environment, tmp_path) for _ in range(2)] == ["0", "1"]


PROGRAM_OF_ONE_TREE = (
    "import warnings, numpy as np; warnings.simplefilter('always');"
    "from ganspace_topdis.topology.kernels import spanning_tree, is_valid_pair;"
    "print(len(spanning_tree(np.zeros((3, 3)))), is_valid_pair(*np.zeros((2, 3, 3), np.uint32)))"
)


def copied_package(folder: Path) -> Path:
    package = folder / "ganspace_topdis"
    shutil.copytree(Path(backend.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def run_one_tree(folder: Path, **environment: str) -> tuple[str, str]:
    """What a fresh process prints on stdout and stderr that computes a spanning tree with the package in `folder`."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("HOME", "NUMBA_CACHE_DIR")}
    environment = inherited | {"PYTHONPATH": str(folder)} | environment
    command = [sys.executable, "-c", PROGRAM_OF_ONE_TREE]
    run = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    return run.stdout.strip(), run.stderr


def test_without_a_place_for_the_cache_the_code_is_compiled_after_one_warning(tmp_path):
    (copied_package(tmp_path) / "topology" / "__pycache__").write_text("keeps even root from making the folder")
    (tmp_path / "file").write_text("")
    printed, warned = run_one_tree(tmp_path, HOME=str(tmp_path / "file"), XDG_CACHE_HOME=str(tmp_path / "file"))
    assert printed == "2 True"
    assert warned.count("compiled code cannot be cached") == 1


def test_a_damaged_cache_is_compiled_over(tmp_path):
    copied_package(tmp_path)
    cache = tmp_path / "cache"
    assert run_one_tree(tmp_path, NUMBA_CACHE_DIR=str(cache)) == ("2 True", "")
    for file in cache.rglob("*.nb[ic]"):
        file.write_bytes(file.read_bytes()[:40])
    assert run_one_tree(tmp_path, NUMBA_CACHE_DIR=str(cache)) == ("2 True", "")
    assert all(len(file.read_bytes()) > 40 for file in cache.rglob("*.nb[ic]"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits on the size of files are a POSIX matter")
def test_a_full_disk_leaves_the_code_uncached(tmp_path):
    copied_package(tmp_path)
    program = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64));" + PROGRAM_OF_ONE_TREE
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    ignoring = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    command = [sys.executable, "-B", "-c", ignoring + program]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "2 True"
    assert run.stderr.count("compiled code cannot be cached") == 1


def test_all_compiled_functions_are_kept_under_the_digest_of_their_files():
    functions = (kernels.bars_of_pair, kernels.is_valid_pair, kernels.spanning_tree)
    assert {function.__name__ for function in functions} == set(kernels.__all__)
    for function in functions:
        assert inspect.getclosurevars(function.py_func).nonlocals["digest"] == kernels.digest_of(kernels.SOURCES)


def test_code_is_compiled_again_when_any_of_its_files_has_changed(tmp_path):
    package = tmp_path / "ganspace_topdis"
    shutil.copytree(Path(backend.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    program = (  # not `bars_of_pair`, which takes ten seconds; the digest is that of all
        "import numpy as np; from ganspace_topdis.topology.kernels import is_valid_pair;"
        "is_valid_pair(*np.zeros((2, 3, 3), np.uint32)); print(sum(is_valid_pair.stats.cache_hits.values()))"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert [printed(program, environment, tmp_path) for _ in range(2)] == ["0", "1"]
    with (package / "topology" / "relations.py").open("a") as file:
        file.write("# another version\n")
    assert printed(program, environment, tmp_path) == "0"


def test_the_cache_is_kept_by_every_file_that_compiled_code_comes_from():
    found, todo = set(), {kernels.__name__}
    while todo:
        name = todo.pop()
        found.add(name)
        called = [value for value in vars(sys.modules[name]).values() if isinstance(value, Dispatcher)]
        todo |= {function.py_func.__module__ for function in called} - found
    assert {sys.modules[name].__file__ for name in found - {kernels.__name__}} <= set(kernels.SOURCES)
    assert len(found) == 4


@njit
def codes_read(edges, codes, asked):
    """The codes of `asked` once `edges` have theirs, from a table that began with room for two; its count and size."""
    table = new_table(2)
    for a in range(edges.size):
        if is_half_full(table):
            table = rehashed(table)
        set_code(table, edges[a], codes[a])
    return [code_of(table, edge) for edge in asked], table[0], table.size


def random_edges(rng: np.random.Generator, num_points: int, count: int) -> np.ndarray:
    i, j = np.sort(rng.choice(num_points, (2, count)), axis=0)
    return np.unique((i << 16 | j)[i < j])


@pytest.mark.parametrize("num_points", [3, 60, 65536])
def test_every_edge_keeps_its_code_however_often_the_table_grows(num_points):
    rng = np.random.default_rng(num_points)
    edges = rng.permutation(random_edges(rng, num_points, 5000))
    codes = rng.choice([-(2**31), -7, -1, 1, 2, 2**31 - 1], edges.size)
    assert codes_read(edges, codes, edges)[0] == list(codes)


def test_an_edge_without_a_code_has_code_0():
    edges = random_edges(np.random.default_rng(0), 60, 900)
    assert not any(codes_read(edges[::2], np.ones(edges.size, np.int64), edges[1::2])[0])


def test_another_code_replaces_the_first_and_takes_no_room():
    edges = np.array([1, 1, 2, 1], np.int64)
    assert codes_read(edges, np.array([5, 6, 7, -8]), edges[:3])[:2] == ([-8, -8, 7], 2)


def test_a_table_is_at_most_half_full():
    edges = random_edges(np.random.default_rng(1), 500, 3000)
    _, count, size = codes_read(edges, np.ones(edges.size, np.int64), edges[:1])
    assert count == edges.size
    assert 2 * count <= size - 1
