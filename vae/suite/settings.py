"""Settings of how a suite is executed, each declared once: where its cells run, and how each of them runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Settings, option
from vae.settings import Compile, data_root_option, verify_option

__all__ = ["CellOptions", "EngineName", "EngineSettings"]

EngineName = Literal["local", "ray", "dask"]
_ENGINE, _CELLS = "Engine", "Cells"


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
class CellOptions(Settings):
    """How each cell is executed; results depend on it only up to rounding."""

    device: str = option("auto", help="Device: auto, cpu, cuda, cuda:1 or mps.", group=_CELLS)
    data_root: Path | None = data_root_option(_CELLS)
    verify: bool = verify_option(_CELLS)
    resident: bool = option(False, help="Copy the whole data set to the device.", group=_CELLS)
    compile: Compile = option("none", help="Compile the networks.", group=_CELLS)
    pictures: bool = option(True, help="Draw the traversals and page of every cell.", group=_CELLS)
