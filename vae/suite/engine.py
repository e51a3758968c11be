"""Where cells run: processes on this machine, a Ray cluster, or a Dask cluster, all through joblib's backends.

    local   joblib's threads, each waiting for the process of one cell; a slot may own a share of a GPU
    ray     ray.util.joblib (extra: ray); one actor of `threads` CPUs, and a share of a GPU, per cell
    dask    joblib's own dask backend (extra: dask)

All of them call the same `work` function. The nodes of a cluster share the results folder and have this package
installed. A worker that is lost with its node takes its cell along, and the cell is retried.
"""

import importlib.util
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal

from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError, TopdisError
from ganspace_topdis.options import Settings, option
from vae.settings import ExecutionOptions
from vae.suite.cell import Job, work
from vae.suite.results import CellStatus

__all__ = ["CellOptions", "Engine", "EngineName", "EngineSettings", "open_engine", "plan_here", "plan_local"]


EngineName = Literal["local", "ray", "dask"]
_ENGINE = "Engine"


@dataclass(frozen=True, kw_only=True)
class EngineSettings(Settings):
    """Where cells run, how many at once, and with which resources.

    Raises:
        InvalidArgumentError: a value is not allowed, or an address is missing or not needed.
    """

    engine: EngineName = option("local", help="Where the cells run.", group=_ENGINE)
    address: str | None = option(
        None,
        help="Address of the cluster: 10.0.0.1:6379, auto, tcp://10.0.0.1:8786.",
        group=_ENGINE,
        default_text="none",
    )
    jobs: int | None = option(None, help="Cells at once.", group=_ENGINE, minimum=1, default_text="as many as fit")
    threads: int | None = option(
        None, help="Threads per cell.", group=_ENGINE, minimum=1, default_text="no core runs two cells"
    )
    gpus_per_cell: float = option(
        0.0, help="GPUs per cell; 0.25 lets four cells share a GPU.", group=_ENGINE, minimum=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.engine == "local") != (self.address is None):
            what = "takes no `address`" if self.engine == "local" else "needs `address`, such as 10.0.0.1:6379"
            raise InvalidArgumentError(f"`engine` {self.engine} {what}", field="address")
        if self.gpus_per_cell > 1 and not float(self.gpus_per_cell).is_integer():
            self.refuse("gpus_per_cell", "a share from 0 to 1 or a whole number")


@dataclass(frozen=True, kw_only=True)
class CellOptions(ExecutionOptions):
    """How each cell is executed, and whether it draws; its scores depend on it only up to rounding."""

    pictures: bool = option(True, help="Draw the traversals and page of every cell.", group="Suite")


_RAY_START, _DASK_START = "ray start --head --port=6379", "dask scheduler"
_CONNECT_S = 3.0
_ANSWER_S = 8.0
_Statuses = Iterator[tuple[str, CellStatus]]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Cells at once, threads per cell, and the function that runs jobs and yields statuses as they end."""

    jobs: int
    threads: int
    run: Callable[[Sequence[Job]], _Statuses]


def open_engine(settings: EngineSettings, *, num_cells: int) -> Engine:
    """Connect to an engine, and determine how many cells run at once.

    Raises:
        InvalidArgumentError: there are too few GPUs.
        MissingDependencyError: ray or dask is not installed.
        TopdisError: the address does not answer within ten seconds.
    """
    opener = {"local": _open_local, "ray": _open_ray, "dask": _open_dask}[settings.engine]
    return opener(settings, num_cells)


def plan_local(
    num_cells: int, *, num_cores: int, num_slots: int | None, jobs: int | None, threads: int | None
) -> tuple[int, int]:
    """Return cells at once and threads per cell, so that no core runs two threads unless both were requested.

    Two processes of two threads each on two cores were measured to be 20 times slower than of one thread each.

    Args:
        num_cells: number of cells to run.
        num_cores: number of cores of this machine.
        num_slots: number of GPU shares; None without GPUs.
        jobs: requested cells at once.
        threads: requested threads per cell.

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
    """Call `plan_local` for the cores that this process may use, without GPUs."""
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

    def run_in_slot(job: Job) -> tuple[str, CellStatus]:
        gpus = free.get()
        try:
            return work(replace(job, gpus=gpus))
        finally:
            free.put(gpus)

    return Engine(jobs=jobs, threads=threads, run=lambda cells: _parallel(cells, jobs, run_in_slot, "threading"))


def _open_ray(settings: EngineSettings, num_cells: int) -> Engine:
    assert settings.address is not None
    _require_installed("ray", extra="ray")
    if settings.address != "auto":
        _require_listener(settings.address, _RAY_START)
    import ray
    from ray.util.joblib import register_ray

    register_ray()
    options: dict[str, Any] = {"ignore_reinit_error": True, "log_to_driver": False, "logging_level": "ERROR"}
    _connect(lambda: ray.init(address=settings.address, **options), settings.address, _RAY_START)
    threads = settings.threads or 1
    resources = ray.cluster_resources()
    fitting = int(resources.get("CPU", 1) // threads)
    if settings.gpus_per_cell:
        fitting = min(fitting, int(resources.get("GPU", 0) / settings.gpus_per_cell))
        if not fitting:
            raise InvalidArgumentError(
                f"`gpus_per_cell` is {settings.gpus_per_cell}, but the cluster has no such GPUs", field="gpus_per_cell"
            )
    jobs = settings.jobs or max(1, min(fitting, num_cells))
    remote = {"num_cpus": threads, "num_gpus": settings.gpus_per_cell}
    return Engine(
        jobs=jobs, threads=threads, run=lambda cells: _parallel(cells, jobs, work, "ray", ray_remote_args=remote)
    )


def _open_dask(settings: EngineSettings, num_cells: int) -> Engine:
    assert settings.address is not None
    _require_installed("distributed", extra="dask")
    address = settings.address
    _require_listener(address.rpartition("//")[2], _DASK_START)
    import distributed

    client = _connect(lambda: distributed.Client(address, timeout=_ANSWER_S), address, _DASK_START)
    fitting = sum(client.nthreads().values()) // (settings.threads or 1)
    jobs = settings.jobs or max(1, min(fitting, num_cells))
    resources = {"resources": {"GPU": settings.gpus_per_cell}} if settings.gpus_per_cell else {}
    return Engine(
        jobs=jobs,
        threads=settings.threads or 1,
        run=lambda cells: _parallel(cells, jobs, work, "dask", client=client, **resources),
    )


def _parallel(
    cells: Sequence[Job], jobs: int, run: Callable[[Job], tuple[str, CellStatus]], backend: str, **options: Any
) -> _Statuses:
    from joblib import Parallel, delayed, parallel_config

    streams = backend == "threading"  # not every backend can return results one by one
    context: AbstractContextManager[Any] = parallel_config(backend=backend, n_jobs=jobs, **options)
    with context:
        pool = Parallel(
            n_jobs=jobs,
            batch_size=1,
            pre_dispatch="all" if backend == "dask" else jobs,
            return_as="generator_unordered" if streams else "list",
        )
        yield from pool(delayed(run)(job) for job in cells)


def _gpu_slots(share: float) -> list[str] | None:
    """Return CUDA_VISIBLE_DEVICES of every cell that fits on the GPUs of this machine; None without GPUs."""
    if not share:
        return None
    import torch

    count = torch.cuda.device_count()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in listed.split(",") if name.strip()] or [str(index) for index in range(count)]
    if count < share or not count:
        raise InvalidArgumentError(
            f"`gpus_per_cell` is {share:g}, but this machine has {count} usable GPUs; use 0", field="gpus_per_cell"
        )
    if share > 1:
        whole = int(share)
        return [",".join(names[k : k + whole]) for k in range(0, count - whole + 1, whole)]
    return [name for _ in range(int(1 / share)) for name in names]


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _require_installed(name: str, *, extra: str) -> None:
    if importlib.util.find_spec(name) is None:
        raise MissingDependencyError(f"`engine` {extra} needs {extra}: pip install 'topdis-gan[{extra}]'")


def _require_listener(address: str, start: str) -> None:
    """Raise within seconds if nothing listens at an address; the clusters' own clients wait for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), timeout=_CONNECT_S).close()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise TopdisError(f"no cluster answers at {address} ({reason}); start one there with `{start}`") from error


def _connect(connect: Callable[[], Any], address: str, start: str) -> Any:
    """Return what `connect` returns; raises after `_ANSWER_S` seconds."""
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
