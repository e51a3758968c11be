"""Settings that commands on finished runs share: how directions are loaded, and whether files are replaced.

No torch is imported here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.options import Settings, option

__all__ = ["OutputSettings", "RunSettings", "checkpoint_names"]

_PICTURES, _MACHINE = "Pictures", "Machine"


def checkpoint_names() -> Iterable[str]:
    """The names of packaged and published checkpoints, for completion."""
    from stylegan2.zoo import PACKAGED, ZOO

    return (*PACKAGED, *ZOO)


@dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    """How a run is loaded; what is not given is the run's own.

    Raises:
        InvalidArgumentError: a name is unknown, or a value is not allowed.
    """

    layers: str | None = option(
        None, help='Layers that move: "0-7", coarse, middle, fine.', group=_PICTURES, default_text="the run's"
    )
    label: int | None = option(
        None, help="Class, for conditional generators.", group=_PICTURES, minimum=0, default_text="the run's"
    )
    ckpt: str | None = option(
        None, help="Checkpoint.", group=_MACHINE, default_text="the run's", complete=checkpoint_names
    )
    device: str = option("auto", help="Device: auto, cpu, cuda, cuda:1 or mps.", group=_MACHINE)


@dataclass(frozen=True, kw_only=True)
class OutputSettings(Settings):
    """Whether a command may replace the results of an earlier one."""

    force: bool = option(False, help="Replace earlier results of this command.", group="Main")

    def clear(self, place: Path, *names: str) -> None:
        """Make `place` free for new results: refuse earlier ones or, with `force`, remove them.

        Args:
            place: a file, or the folder that holds the results.
            names: patterns of the files in that folder that the command writes; other files are left alone.

        Raises:
            RunFolderError: earlier results exist and `force` is not set, or they cannot be removed.
        """
        found = sorted({path for name in names for path in place.glob(name)}) if names else [place]
        found = [path for path in found if path.is_file() or path.is_symlink()]
        if found and not self.force:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise RunFolderError(f"{found[0]}{more} would be replaced; give `force`, or another `out`")
        if names:
            for path in found:
                _remove(path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot remove {path}: {error.strerror}; give another `out`") from error
