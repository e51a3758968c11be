"""Where the cells run: processes here, a Ray cluster, or a Dask cluster, all through joblib's backends.

    local   joblib's threads, each waiting for one cell's process; a slot may own a share of a GPU
    ray     ray.util.joblib (extra: ray); an actor of `threads` CPUs, and a share of a GPU, a cell
    dask    joblib's own dask backend (extra: dask)

The same `work` function runs in all of them. Nodes of a cluster share the results folder, and have this package
installed. A worker that is lost with its node takes its cell along, and the cell is handed out again.
"""

import importlib.util
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError, TopdisError
from vae.suite.marks import Mark
from vae.suite.worker import WorkOrder, work

__all__ = ["Engine", "EngineName", "EngineSettings", "open_engine", "plan_here", "plan_local"]

EngineName = Literal["local", "ray", "dask"]

_RAY_START, _DASK_START = "ray start --head --port=6379", "dask scheduler"
_CONNECT_S = 3.0
_ANSWER_S = 8.0
_Done = Iterator[tuple[str, Mark]]


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """How many cells run at once, where, and with what.

    Attributes:
        engine: "local", "ray" or "dask".
        address: of the cluster; for ray also "auto".
        jobs: cells at once; None takes as many as fit.
        threads: of a cell; None takes what leaves no core to two cells.
        gpus_per_cell: share of a GPU that a cell gets, 0.25 for four cells a GPU; 0 for none.

    Raises:
        InvalidArgumentError: a value is not allowed, or an engine lacks its address.
    """

    engine: EngineName = "local"
    address: str | None = None
    jobs: int | None = None
    threads: int | None = None
    gpus_per_cell: float = 0.0

    def __post_init__(self) -> None:
        if self.engine not in get_args(EngineName):
            raise InvalidArgumentError(f"--engine is {self.engine!r}, allowed are {', '.join(get_args(EngineName))}")
        if (self.engine == "local") != (self.address is None):
            what = "takes no --address" if self.engine == "local" else "needs --address, such as 10.0.0.1:6379"
            raise InvalidArgumentError(f"--engine {self.engine} {what}")
        for name, value in (("jobs", self.jobs), ("threads", self.threads)):
            if value is not None and value < 1:
                raise InvalidArgumentError(f"--{name} is {value}, but must be at least 1")
        if not (0 <= self.gpus_per_cell <= 1 or float(self.gpus_per_cell).is_integer()):
            raise InvalidArgumentError(
                f"--gpus-per-cell is {self.gpus_per_cell}, but must be a share from 0 to 1 or a whole number"
            )


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Cells at once, threads of each, and the function that runs orders and gives back marks as they come."""

    jobs: int
    threads: int
    run: Callable[[Sequence[WorkOrder]], _Done]


def open_engine(settings: EngineSettings, *, num_cells: int) -> Engine:
    """Connect, and find how many cells run at once.

    Raises:
        InvalidArgumentError: there is no GPU to share.
        MissingDependencyError: ray or dask is not installed.
        TopdisError: nothing answers at the address within ten seconds.
    """
    opener = {"local": _open_local, "ray": _open_ray, "dask": _open_dask}[settings.engine]
    return opener(settings, num_cells)


def plan_local(
    num_cells: int, *, num_cores: int, num_slots: int | None, jobs: int | None, threads: int | None
) -> tuple[int, int]:
    """Cells at once and threads of each, so that no core has two threads unless both were asked for.

    Two processes of two threads each on two cores were measured to be 20 times slower than of one each.

    Args:
        num_cells: to run.
        num_cores: of this machine.
        num_slots: shares of GPUs; None without GPUs.
        jobs: cells at once, where asked for.
        threads: of a cell, where asked for.

    >>> plan_local(12, num_cores=8, num_slots=None, jobs=None, threads=None)
    (8, 1)
    >>> plan_local(2, num_cores=8, num_slots=None, jobs=None, threads=None)
    (2, 4)
    >>> plan_local(12, num_cores=8, num_slots=2, jobs=None, threads=None)
    (2, 4)
    """
    if jobs is None:
        jobs = max(1, num_cores // threads) if threads else num_cores
        jobs = min(jobs, num_cells if num_slots is None else min(num_slots, num_cells))
    return jobs, threads or max(1, num_cores // jobs)


def plan_here(num_cells: int, *, jobs: int | None, threads: int | None) -> tuple[int, int]:
    """`plan_local` for the cores that this process may use, without GPUs."""
    return plan_local(num_cells, num_cores=_num_cores(), num_slots=None, jobs=jobs, threads=threads)


def _open_local(settings: EngineSettings, num_cells: int) -> Engine:
    slots = _gpu_slots(settings.gpus_per_cell)
    jobs, threads = plan_local(
        num_cells,
        num_cores=_num_cores(),
        num_slots=None if slots is None else len(slots),
        jobs=settings.jobs,
        threads=settings.threads,
    )
    free: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for slot in range(jobs):
        free.put(None if slots is None else slots[slot % len(slots)])

    def run_in_slot(order: WorkOrder) -> tuple[str, Mark]:
        gpus = free.get()
        try:
            return work(replace(order, gpus=gpus))
        finally:
            free.put(gpus)

    return Engine(jobs=jobs, threads=threads, run=lambda orders: _parallel(orders, jobs, run_in_slot, "threading"))


def _open_ray(settings: EngineSettings, num_cells: int) -> Engine:
    assert settings.address is not None
    _require_installed("ray", extra="ray")
    if settings.address != "auto":
        _require_listener(settings.address, _RAY_START)
    import ray
    from ray.util.joblib import register_ray

    register_ray()
    options: dict[str, Any] = {"ignore_reinit_error": True, "log_to_driver": False, "logging_level": "ERROR"}
    _within(lambda: ray.init(address=settings.address, **options), settings.address, _RAY_START)
    threads = settings.threads or 1
    resources = ray.cluster_resources()
    fitting = int(resources.get("CPU", 1) // threads)
    if settings.gpus_per_cell:
        fitting = min(fitting, int(resources.get("GPU", 0) / settings.gpus_per_cell))
        if not fitting:
            raise InvalidArgumentError(f"--gpus-per-cell is {settings.gpus_per_cell}, but the cluster has no such GPUs")
    jobs = settings.jobs or max(1, min(fitting, num_cells))
    remote = {"num_cpus": threads, "num_gpus": settings.gpus_per_cell}
    return Engine(
        jobs=jobs, threads=threads, run=lambda orders: _parallel(orders, jobs, work, "ray", ray_remote_args=remote)
    )


def _open_dask(settings: EngineSettings, num_cells: int) -> Engine:
    assert settings.address is not None
    _require_installed("distributed", extra="dask")
    address = settings.address
    _require_listener(address.rpartition("//")[2], _DASK_START)
    import distributed

    client = _within(lambda: distributed.Client(address, timeout=_ANSWER_S), address, _DASK_START)
    fitting = sum(client.nthreads().values()) // (settings.threads or 1)
    jobs = settings.jobs or max(1, min(fitting, num_cells))
    resources = {"resources": {"GPU": settings.gpus_per_cell}} if settings.gpus_per_cell else {}
    return Engine(
        jobs=jobs,
        threads=settings.threads or 1,
        run=lambda orders: _parallel(orders, jobs, work, "dask", client=client, **resources),
    )


def _parallel(
    orders: Sequence[WorkOrder], jobs: int, run: Callable[[WorkOrder], tuple[str, Mark]], backend: str, **options: Any
) -> _Done:
    from joblib import Parallel, delayed, parallel_config

    streams = backend == "threading"  # not every backend can give results back one by one
    context: AbstractContextManager[Any] = parallel_config(backend=backend, n_jobs=jobs, **options)
    with context:
        pool = Parallel(
            n_jobs=jobs,
            batch_size=1,
            pre_dispatch="all" if backend == "dask" else jobs,
            return_as="generator_unordered" if streams else "list",
        )
        yield from pool(delayed(run)(order) for order in orders)


def _gpu_slots(share: float) -> list[str] | None:
    """CUDA_VISIBLE_DEVICES of every cell that fits on the GPUs of this machine; None without GPUs."""
    if not share:
        return None
    import torch

    count = torch.cuda.device_count()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in listed.split(",") if name.strip()] or [str(index) for index in range(count)]
    if count < share or not count:
        raise InvalidArgumentError(f"--gpus-per-cell is {share:g}, but this machine has {count} usable GPUs; use 0")
    if share > 1:
        whole = int(share)
        return [",".join(names[k : k + whole]) for k in range(0, count - whole + 1, whole)]
    return [name for _ in range(int(1 / share)) for name in names]


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _require_installed(name: str, *, extra: str) -> None:
    if importlib.util.find_spec(name) is None:
        raise MissingDependencyError(f"--engine {extra} needs {extra}: pip install 'topdis-gan[{extra}]'")


def _require_listener(address: str, start: str) -> None:
    """Refuse an address where nothing listens, in seconds; the clusters' own clients wait for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), timeout=_CONNECT_S).close()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise TopdisError(f"no cluster answers at {address} ({reason}); start one there with `{start}`") from error


def _within(connect: Callable[[], Any], address: str, start: str) -> Any:
    """What `connect` returns, within `_ANSWER_S` seconds."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(connect())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_ANSWER_S)
    if not outcome or isinstance(outcome[0], Exception):
        reason = f"no answer in {_ANSWER_S:.0f} s" if not outcome else str(outcome[0]).strip().splitlines()[0]
        raise TopdisError(f"no cluster answers at {address} ({reason}); start one there with `{start}`")
    return outcome[0]
