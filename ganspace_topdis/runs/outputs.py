"""Results that a command writes where the user says: those of an earlier command are replaced only if asked.

    output: OutputSettings = nested(OutputSettings)             the option --force
    earlier = options.output.earlier(folder, "edited_*.png")    refuses before anything is computed
    remove_earlier(earlier, written)                            once the new results are there

Neither torch nor numpy is imported here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.options import Settings, option

__all__ = ["OutputSettings", "remove_earlier"]


@dataclass(frozen=True, kw_only=True)
class OutputSettings(Settings):
    """Whether a command may replace the results of an earlier one."""

    force: bool = option(False, help="Replace earlier results of this command.", group="Main")

    def earlier(self, place: Path, *names: str, argument: str = "out") -> list[Path]:
        """Earlier results, which stay until new ones are written in their place; refused without `force`.

        Args:
            place: a file, or the folder that holds the results.
            names: patterns of the files in that folder that the command writes.
            argument: the option that gives the place.

        Raises:
            RunFolderError: earlier results exist and `force` is not set.
        """
        found = sorted({path for name in names for path in place.glob(name)}) if names else [place]
        found = [path for path in found if path.is_file() or path.is_symlink()]
        if found and not self.force:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise RunFolderError(f"{found[0]}{more} would be replaced; give `force`, or another `{argument}`")
        return found


def remove_earlier(earlier: Iterable[Path], written: Iterable[Path]) -> None:
    """Remove those of the `earlier` results that were not replaced by `written` ones.

    Raises:
        RunFolderError: a file cannot be removed.
    """
    for path in {*earlier} - {*written}:
        _remove(path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot remove {path}: {error.strerror}; give another `out`") from error
