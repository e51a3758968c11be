"""The suites that come with the package, each a grid of its own in `grids/NAME.toml`."""

from importlib import resources
from pathlib import Path

from ganspace_topdis.errors import InvalidArgumentError
from vae.suite.grid import CheckSettings, Grid, parse_grid, read_grid

__all__ = ["find_grid", "preset_names", "preset_text"]


def preset_names() -> tuple[str, ...]:
    """The presets.

    >>> "quick" in preset_names()
    True
    """
    entries = resources.files("vae.suite").joinpath("grids").iterdir()
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml")))


def preset_text(name: str) -> str:
    """The TOML of a preset, to read or to start a grid of one's own from."""
    return resources.files("vae.suite").joinpath("grids", f"{name}.toml").read_text(encoding="utf-8")


def find_grid(name: str, check: CheckSettings) -> Grid:
    """The grid of a preset, or of a TOML file.

    Raises:
        InvalidArgumentError: there is neither, or the grid has faults.
    """
    if name in preset_names():
        return parse_grid(preset_text(name), check, source=name)
    if not Path(name).is_file():
        raise InvalidArgumentError(
            f"suite {name!r} is neither a preset ({', '.join(preset_names())}) nor a file; give one of them"
        )
    return read_grid(Path(name), check)
