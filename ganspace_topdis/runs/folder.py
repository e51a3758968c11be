"""A run folder: what ran, how it stands, what it measured, and where it can go on.

    with RunFolder.open(out, config, command="discover", device="cpu") as folder:
        checkpoint = folder.resume()                        # None at the beginning
        while ...:
            folder.append_metrics({"step": step, "loss": loss})
            folder.save(step, tensors, rest)                # a checkpoint, every now and then
        folder.path / "overview.png"                        # pictures and results go beside the records

`open` makes the folder, or goes on in it when command and configuration are the same; `folder.finished` says
that there is nothing left to do. Leaving the block marks how the run ended: finished, interrupted (Ctrl-C,
SIGTERM) or failed, with the reason; a run that was finished before stays so. A second process is refused while
the first works.

A start that fails because its options or files do not fit leaves no folder behind, and a run that was killed before
it saved anything gives its folder up to any other. The records of a finished run are checked when it is opened:
damage is reported, and a run whose last checkpoint is damaged goes on from the one before it.

    config.json        the command and its configuration
    environment.json   versions, platform, device of the latest start
    status.json        see `runs.status`
    metrics.jsonl      see `runs.metrics_log`
    checkpoints/       see `runs.checkpoints`

`read_run(path)` gives command, configuration and status of a run to commands that only look at it.
"""

import contextlib
import json
import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from ganspace_topdis.errors import (
    CheckpointError,
    InvalidArgumentError,
    MissingDependencyError,
    RunFolderError,
    TopdisError,
)
from ganspace_topdis.runs.checkpoints import Checkpoint, CheckpointStore
from ganspace_topdis.runs.environment import describe_environment
from ganspace_topdis.runs.files import is_leftover, make_folder, sha256_of, write_json
from ganspace_topdis.runs.lock import FolderLock
from ganspace_topdis.runs.metrics_log import MetricsLog, read_metrics
from ganspace_topdis.runs.reading import read_json
from ganspace_topdis.runs.sealed import load_sealed, save_sealed
from ganspace_topdis.runs.signals import StopRequestedError
from ganspace_topdis.runs.status import (
    RunState,
    RunStatus,
    drop_spare_mark,
    keep_spare_mark,
    read_status,
    use_spare_mark,
    write_status,
)

__all__ = ["RunFolder", "RunRecord", "read_run"]

_CONFIG, _METRICS = "config.json", "metrics.jsonl"
_RECORDS = (_CONFIG, "environment.json", "status.json", ".lock")
"""What a run that has not saved anything consists of."""
_MISFITS = (InvalidArgumentError, CheckpointError, MissingDependencyError)
"""Errors of a start that cannot succeed as it was asked for."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run folder says about itself. `status` is None where its mark is missing or damaged."""

    path: Path
    command: str
    config: dict[str, Any]
    status: RunStatus | None

    @property
    def checkpoints(self) -> CheckpointStore:
        """The run's checkpoints."""
        return CheckpointStore(self.path / "checkpoints")


class RunFolder:
    """A run folder held by this process; use `RunFolder.open`.

    Attributes:
        path: the folder.
        command: the command that runs.
        config: the configuration, as JSON gives it back.
        previous: how the run stood when it was opened; None for a new one.
        checkpoints: the run's `CheckpointStore`.
    """

    def __init__(self, record: RunRecord, lock: FolderLock, made: Sequence[Path] = ()) -> None:
        self.path, self.command, self.config = record.path, record.command, record.config
        self.previous = record.status
        self.checkpoints = record.checkpoints
        self._lock, self._made = lock, made
        self._metrics = MetricsLog(self.path / _METRICS)
        self._finished = self.previous is not None and self.previous.state == "finished" and self._is_whole()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        config: Mapping[str, Any],
        *,
        command: str,
        device: str = "cpu",
        free_keys: Collection[str] = (),
    ) -> "RunFolder":
        """Make the run folder `path`, or go on in it.

        Args:
            path: where; the folders above it are made too.
            config: JSON-able; everything that the result depends on.
            command: the command that runs ("discover"); part of what must be the same.
            device: for the record.
            free_keys: keys of `config` that may differ when a run goes on, the results staying the same. The
                file keeps the latest values.

        Raises:
            RunFolderError: the folder holds a run of another configuration (the differing keys are named),
                holds other things, is in use, is read-only, or the disk is full.
        """
        folder, plain = Path(path), _plain_json(config)
        _examine(folder)
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        make_folder(folder)
        lock = FolderLock(folder)
        try:
            existing = _examine(folder)
            status = read_status(folder, held=False)
            if existing is not None and _holds_nothing(folder, status):
                existing = status = None
            if existing is not None:
                _require_same(existing, command, plain, free_keys)
            _remove_leftovers(folder)
            run = cls(RunRecord(path=folder, command=command, config=plain, status=status), lock, made)
        except BaseException:
            lock.release()
            raise
        if not run.finished:
            run._begin(device, is_new=existing is None, changed=existing is None or existing.config != plain)
        return run

    def _begin(self, device: str, *, is_new: bool, changed: bool) -> None:
        try:
            if changed:
                write_json(self.path / _CONFIG, {"command": self.command, "config": self.config})
            _record_environment(self.path, device)
            write_status(self.path, "running")
            keep_spare_mark(self.path)
        except BaseException:
            if is_new:
                self._undo()
            self.close()
            raise

    def _is_whole(self) -> bool:
        """Whether the last checkpoint of a finished run is whole; damage to metrics.jsonl is reported."""
        assert self.previous is not None
        expected, path = self.previous.metrics_sha256, self.path / _METRICS
        if expected is not None and (not path.is_file() or sha256_of(path) != expected):
            what = "is damaged: its contents differ from their SHA-256" if path.exists() else "is gone"
            warnings.warn(f"{path} {what}; the results of the run do not depend on it", stacklevel=4)
        elif expected is None and path.is_file():
            read_metrics(path)
        return self.checkpoints.newest_is_whole()

    @property
    def finished(self) -> bool:
        """Whether the run was finished before it was opened, and is whole: the command has nothing left to do."""
        return self._finished

    def resume(self) -> Checkpoint | None:
        """The newest usable checkpoint, with metrics.jsonl cut back to its step; None at the beginning.

        Raises:
            CheckpointError: there are checkpoints and all are damaged.
            RunFolderError: metrics.jsonl cannot be written.
        """
        checkpoint = self.checkpoints.load_newest()
        self._metrics.cut(-1 if checkpoint is None else checkpoint.step)
        return checkpoint

    def append_metrics(self, values: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl; `values` holds an integer `step`.

        Raises:
            RunFolderError: the disk is full; earlier lines stay.
        """
        self._metrics.append(values)

    def save(self, step: int, tensors: Mapping[str, Tensor], rest: Any = None) -> Path:
        """Save a checkpoint of the state after `step` steps (see `runs.checkpoints`).

        Raises:
            RunFolderError: the disk is full; earlier checkpoints stay.
        """
        self._metrics.sync()
        return self.checkpoints.save(step, tensors, rest)

    def load_partial(self, name: str) -> dict[str, Tensor] | None:
        """What `save_partial` wrote; None where there is nothing, or it is damaged, with a warning."""
        path = self._partial(name)
        if not path.exists():
            return None
        try:
            return load_sealed(path)[0]
        except CheckpointError as error:
            warnings.warn(f"{error}; that work is begun anew", stacklevel=2)
            return None

    def save_partial(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep `tensors`, a piece of work that is no step, under `name` until `drop_partial`.

        Raises:
            RunFolderError: the disk is full; what was kept before stays.
        """
        make_folder(self.checkpoints.folder)
        save_sealed(self._partial(name), tensors, {"name": name})

    def drop_partial(self) -> None:
        """Remove what `save_partial` kept: the results are written."""
        for path in self.checkpoints.folder.glob("partial_*.safetensors"):
            path.unlink(missing_ok=True)

    def _partial(self, name: str) -> Path:
        return self.checkpoints.folder / f"partial_{name}.safetensors"

    def close(self) -> None:
        """Let go of the folder without marking it."""
        drop_spare_mark(self.path)
        self._metrics.close()
        self._lock.release()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self.finished:
                return
            if isinstance(error, _MISFITS) and _holds_nothing(self.path, self.previous):
                self._undo()
            elif error is None:
                self._mark("finished")
            else:
                with contextlib.suppress(RunFolderError):  # a full disk must not hide the error that ended the run
                    self._mark(*_ending(error))
        finally:
            self.close()

    def _mark(self, state: RunState, reason: str = "") -> None:
        metrics = self.path / _METRICS
        sha256 = sha256_of(metrics) if state == "finished" and metrics.is_file() else None
        try:
            write_status(self.path, state, reason, metrics_sha256=sha256)
        except RunFolderError:
            use_spare_mark(self.path)
            raise

    def _undo(self) -> None:
        """Remove the records of a start that failed, and the folders that it made."""
        with contextlib.suppress(OSError):
            for name in _RECORDS:
                (self.path / name).unlink(missing_ok=True)
            _remove_leftovers(self.path)
            for folder in self._made:
                folder.rmdir()


def read_run(path: str | os.PathLike[str]) -> RunRecord:
    """Command, configuration and status of the run in `path`; changes nothing there.

    Raises:
        RunFolderError: there is no run folder at `path`, or its config.json is damaged.
    """
    folder = Path(path)
    if not (folder / _CONFIG).is_file():
        raise RunFolderError(f"{folder} is no run folder: it has no {_CONFIG}; check the path")
    try:
        stored = read_json(folder / _CONFIG)
        command, config = stored["command"], dict(stored["config"])
        if not isinstance(command, str):
            raise ValueError("it names no command")
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{folder / _CONFIG} cannot be read ({error}); choose another --out") from error
    return RunRecord(path=folder, command=command, config=config, status=read_status(folder))


def _examine(folder: Path) -> RunRecord | None:
    """The run that is in `folder`, None where it is missing or empty; anything else is refused."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is a file, not a folder; choose another --out")
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise RunFolderError(f"cannot read {folder}: {error.strerror}; choose another --out") from error
    if _CONFIG in names:
        return read_run(folder)
    others = sorted(name for name in names if name != ".lock" and not is_leftover(name))
    if others:
        raise RunFolderError(
            f"{folder} is not empty and holds no run of ours ({', '.join(others[:3])}"
            f"{', ...' if len(others) > 3 else ''}); choose another --out"
        )
    return None


def _holds_nothing(folder: Path, status: RunStatus | None) -> bool:
    """Whether the run in `folder` ended before it saved anything."""
    if status is not None and status.state == "finished":
        return False
    names = {entry.name for entry in folder.iterdir() if not is_leftover(entry.name)}
    if "checkpoints" in names and not any((folder / "checkpoints").iterdir()):
        names.remove("checkpoints")
    return names <= set(_RECORDS)


def _require_same(existing: RunRecord, command: str, config: Mapping[str, Any], free_keys: Collection[str]) -> None:
    if existing.command != command:
        raise RunFolderError(
            f"{existing.path} holds a run of `{existing.command}`, not of `{command}`; choose another --out"
        )
    old, new = _flat(existing.config), _flat(config)
    differing = [
        f"{key} was {_show(old, key)}, is now {_show(new, key)}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key, _show) != new.get(key, _show) and key.partition(".")[0] not in free_keys
    ]
    if differing:
        raise RunFolderError(
            f"{existing.path} holds a run of another configuration: {'; '.join(differing)}; "
            "give the same settings to go on with it, or choose another --out"
        )


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left while writing. Called while the folder is locked."""
    for path in [*folder.rglob(".*.tmp")]:
        if is_leftover(path.name) and path.is_file():
            with contextlib.suppress(OSError):
                path.unlink()


def _ending(error: BaseException) -> tuple[RunState, str]:
    """How a run that `error` ended is marked, and the reason given."""
    if isinstance(error, TopdisError):
        return "interrupted" if isinstance(error, StopRequestedError) else "failed", str(error)
    stopped = isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and error.code in (130, 143))
    return "interrupted" if stopped else "failed", f"{type(error).__name__}: {error}".removesuffix(": ")


def _record_environment(folder: Path, device: str) -> None:
    path, now = folder / "environment.json", describe_environment(device)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        before = read_json(path)
        if changes := _changes(before, now):
            warnings.warn(
                f"{folder} was last worked on with {changes}; the result may differ in its last bits", stacklevel=4
            )
    write_json(path, now)


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What of all that the bits of a result depend on is other than before; empty where nothing is."""
    names = ("python", "packages", "machine", "device_name")
    old, new = (_flat({name: environment[name] for name in names}) for environment in (before, now))
    changed = [key for key in old if old[key] != new.get(key)]
    return ", ".join(f"{key.removeprefix('packages.')} {old[key]} (now {new.get(key)})" for key in changed)


def _plain_json(config: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(config, allow_nan=False))
    return plain


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat


def _show(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "not there"
