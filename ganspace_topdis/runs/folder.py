"""A run folder: configuration, state, measurements and checkpoints of one run.

    with RunFolder.open(out, config, command="discover", device="cpu") as folder:
        checkpoint = folder.resume()                        # None at the start
        while ...:
            folder.append_metrics({"step": step, "loss": loss})
            folder.save(step, tensors, rest)                # a checkpoint, every few minutes
        folder.path / "overview.png"                        # results are written beside the records

`open` creates the folder, or resumes the run in it if command and configuration are the same; `folder.finished` is
True if nothing is left to do. The end of the block records how the run ended: finished, interrupted (Ctrl-C, SIGTERM)
or failed, with the reason; a run that was finished before stays finished. A second process is refused meanwhile.

A start that fails because its options or files are invalid leaves no folder behind, and a run that was killed before
it saved anything can be replaced by any other. The records of a finished run are checked when it is opened: damage is
reported, and a run whose last checkpoint is damaged resumes from the previous one.

    config.json, status.json, metrics.jsonl    see `runs.records`
    environment.json                           versions, platform and device of the latest start
    checkpoints/                               see `runs.checkpoints`
"""

import contextlib
import json
import os
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
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
from ganspace_topdis.runs.checkpoints import Checkpoint
from ganspace_topdis.runs.checksummed import load_checksummed, save_checksummed
from ganspace_topdis.runs.devices import record_environment
from ganspace_topdis.runs.files import LOCK, FolderLock, is_leftover, make_folder, sha256_of, write_json
from ganspace_topdis.runs.progress import StopRequestedError
from ganspace_topdis.runs.records import (
    CONFIG,
    METRICS,
    STATUS,
    MetricsLog,
    RunRecord,
    RunState,
    RunStatus,
    drop_spare_status,
    read_metrics,
    read_run,
    read_status,
    use_spare_status,
    write_spare_status,
    write_status,
)

__all__ = ["RunFolder"]

_ENVIRONMENT = "environment.json"
_MISSING = object()
_RECORDS = (CONFIG, _ENVIRONMENT, STATUS, LOCK)
"""The contents of a run that has not saved anything."""
_INVALID_STARTS = (InvalidArgumentError, CheckpointError, MissingDependencyError)
"""Errors of a command that cannot succeed with the given options and files."""


class RunFolder:
    """A run folder locked by this process; use `RunFolder.open`.

    Attributes:
        path: the folder.
        command: the command that runs.
        config: the configuration, as read from JSON.
        previous: the status when the folder was opened; None for a new run.
        checkpoints: the run's `CheckpointStore`.
    """

    def __init__(self, record: RunRecord, lock: FolderLock, created: Sequence[Path] = ()) -> None:
        self.path, self.command, self.config = record.path, record.command, record.config
        self.previous = record.status
        self.checkpoints = record.checkpoints
        self._lock, self._created = lock, created
        self._metrics = MetricsLog(self.path / METRICS)
        self._finished = self.previous is not None and self.previous.state == "finished" and self._is_intact()

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
        """Create the run folder `path`, or resume the run in it.

        Args:
            path: the folder; its parents are created too.
            config: JSON-able; everything that the result depends on.
            command: the command that runs ("discover"); must be the same when a run resumes.
            device: for the record of the environment.
            free_keys: keys of `config` that may differ when a run resumes because the results do not depend on them.
                The file keeps their latest values.

        Raises:
            RunFolderError: the folder holds a run of another configuration (the differences are listed) or other
                files, is in use, is read-only, or the disk is full.
        """
        folder, plain = Path(path), _plain_json(config)
        _read_existing(folder)
        created = [place for place in (folder, *folder.parents) if not place.exists()]
        make_folder(folder)
        lock = FolderLock(folder)
        try:
            existing, status = _continued(folder)
            if existing is not None:
                _require_same(existing, command, plain, free_keys)
            _remove_leftovers(folder)
            run = cls(RunRecord(path=folder, command=command, config=plain, status=status), lock, created)
        except BaseException:
            lock.release()
            raise
        run._start(device, is_new=existing is None, changed=existing is None or existing.config != plain)
        return run

    @staticmethod
    def check(
        path: str | os.PathLike[str], config: Mapping[str, Any], *, command: str, free_keys: Collection[str] = ()
    ) -> None:
        """Refuse a folder that `open` would refuse, before long work; arguments are those of `open`.

        Raises:
            RunFolderError: the folder holds a run of another configuration, or other files.
        """
        existing, _ = _continued(Path(path))
        if existing is not None:
            _require_same(existing, command, _plain_json(config), free_keys)

    def _start(self, device: str, *, is_new: bool, changed: bool) -> None:
        try:
            if changed:
                write_json(self.path / CONFIG, {"command": self.command, "config": self.config})
            if self.finished:
                return
            record_environment(self.path / _ENVIRONMENT, device)
            write_status(self.path, "running")
            write_spare_status(self.path)
        except BaseException:
            if is_new:
                self._undo_start()
            self.close()
            raise

    def _is_intact(self) -> bool:
        """Whether the last checkpoint of a finished run is intact; damage to metrics.jsonl is reported."""
        assert self.previous is not None
        expected, path = self.previous.metrics_sha256, self.path / METRICS
        if expected is not None and (not path.is_file() or sha256_of(path) != expected):
            what = "is damaged: its contents differ from their SHA-256" if path.exists() else "is gone"
            warnings.warn(f"{path} {what}; the results of the run do not depend on it", stacklevel=4)
        elif expected is None and path.is_file():
            read_metrics(path)
        return self.checkpoints.newest_is_intact()

    @property
    def finished(self) -> bool:
        """Whether the run was finished and intact when it was opened, so that nothing is left to do."""
        return self._finished

    def resume(self) -> Checkpoint | None:
        """Return the newest intact checkpoint, with metrics.jsonl truncated to its step; None at the start.

        Raises:
            CheckpointError: all checkpoints are damaged.
            RunFolderError: metrics.jsonl cannot be written.
        """
        checkpoint = self.checkpoints.load_newest()
        self._metrics.cut(-1 if checkpoint is None else checkpoint.step)
        return checkpoint

    def append_metrics(self, values: Mapping[str, Any]) -> None:
        """Append a line to metrics.jsonl; `values` has an integer `step`.

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
        """Return the tensors of `save_partial`; None if there are none, or they are damaged, with a warning."""
        path = self._partial(name)
        if not path.exists():
            return None
        try:
            return load_checksummed(path)[0]
        except CheckpointError as error:
            warnings.warn(f"{error}; that work starts over", stacklevel=2)
            return None

    def save_partial(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Save `tensors`, the result of work that is not a step, under `name` until `drop_partial`.

        Raises:
            RunFolderError: the disk is full; what was saved before stays.
        """
        make_folder(self.checkpoints.folder)
        save_checksummed(self._partial(name), tensors, {"name": name})

    def drop_partial(self) -> None:
        """Remove the files of `save_partial`, once the results are written."""
        for path in self.checkpoints.folder.glob("partial_*.safetensors"):
            path.unlink(missing_ok=True)

    def _partial(self, name: str) -> Path:
        return self.checkpoints.folder / f"partial_{name}.safetensors"

    def close(self) -> None:
        """Release the folder without changing its status."""
        drop_spare_status(self.path)
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
            if isinstance(error, _INVALID_STARTS) and _has_saved_nothing(self.path, self.previous):
                self._undo_start()
            elif error is None:
                self._end("finished")
            else:
                with contextlib.suppress(RunFolderError):  # a full disk must not hide the error that ended the run
                    self._end(*_final_state(error))
        finally:
            self.close()

    def _end(self, state: RunState, reason: str = "") -> None:
        metrics = self.path / METRICS
        sha256 = sha256_of(metrics) if state == "finished" and metrics.is_file() else None
        try:
            write_status(self.path, state, reason, metrics_sha256=sha256)
        except RunFolderError:
            use_spare_status(self.path)
            raise

    def _undo_start(self) -> None:
        """Remove the records of a failed start, and the folders that it created."""
        with contextlib.suppress(OSError):
            for name in _RECORDS:
                (self.path / name).unlink(missing_ok=True)
            _remove_leftovers(self.path)
            for folder in self._created:
                folder.rmdir()


def _read_existing(folder: Path) -> RunRecord | None:
    """Return the run in `folder`, or None if the folder is missing or empty; refuse anything else."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is a file, not a folder; choose another `out`")
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise RunFolderError(f"cannot read {folder}: {error.strerror}; choose another `out`") from error
    if CONFIG in names:
        try:
            return read_run(folder)
        except RunFolderError as error:
            raise RunFolderError(f"{error}; choose another `out`") from error
    others = sorted(name for name in names if name != LOCK and not is_leftover(name))
    if others:
        raise RunFolderError(
            f"{folder} is not empty and is not a run folder ({', '.join(others[:3])}"
            f"{', ...' if len(others) > 3 else ''}); choose another `out`"
        )
    return None


def _continued(folder: Path) -> tuple[RunRecord | None, RunStatus | None]:
    """Return the run in `folder` that is continued there, and its status; neither of one that has saved nothing."""
    existing = _read_existing(folder)
    status = read_status(folder, held=False)
    if existing is not None and _has_saved_nothing(folder, status):
        return None, None
    return existing, status


def _has_saved_nothing(folder: Path, status: RunStatus | None) -> bool:
    """Whether the run in `folder` ended before it saved anything."""
    if status is not None and status.state == "finished":
        return False
    names = {entry.name for entry in folder.iterdir() if not is_leftover(entry.name)}
    if (folder / "checkpoints").is_dir() and not any((folder / "checkpoints").iterdir()):
        names.remove("checkpoints")
    return names <= set(_RECORDS)


def _require_same(existing: RunRecord, command: str, config: Mapping[str, Any], free_keys: Collection[str]) -> None:
    if existing.command != command:
        raise RunFolderError(
            f"{existing.path} holds a run of `{existing.command}`, not of `{command}`; choose another `out`"
        )
    differences = [
        f"{key} was {_show(old)}, is now {_show(new)}"
        for key, old, new in _differences(existing.config, config)
        if key.partition(".")[0] not in free_keys
    ]
    if differences:
        raise RunFolderError(
            f"{existing.path} holds a run of another configuration: {'; '.join(differences)}; "
            "give the same settings to resume it, or choose another `out`"
        )


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while writing. Called while the folder is locked."""
    for path in [*folder.rglob(".*.tmp")]:
        if is_leftover(path.name) and path.is_file():
            with contextlib.suppress(OSError):
                path.unlink()


def _final_state(error: BaseException) -> tuple[RunState, str]:
    """Return the state of a run that `error` ended, and the reason."""
    if isinstance(error, TopdisError):
        return "interrupted" if isinstance(error, StopRequestedError) else "failed", str(error)
    stopped = isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and error.code in (130, 143))
    return "interrupted" if stopped else "failed", f"{type(error).__name__}: {error}".removesuffix(": ")


def _plain_json(config: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(config, allow_nan=False))
    return plain


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The settings that differ, by name: of settings within settings each, unless one side has none at all."""
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key, _MISSING), new.get(key, _MISSING)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differences(before, now, f"{prefix}{key}.")
        elif before != now:
            yield prefix + key, before, now


def _show(value: Any) -> str:
    if value is None or value is _MISSING:
        return "not set" if value is None else "missing"
    return "set" if isinstance(value, Mapping) else json.dumps(value)
