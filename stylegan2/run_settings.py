"""Settings of how the directions of a run are loaded: the checkpoint, the layers that move, the class, the device.

Every command on a finished run has them. No torch is imported here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ganspace_topdis.options import Settings, option

__all__ = ["RunSettings", "checkpoint_names"]

_PICTURES, _MACHINE = "Pictures", "Machine"


def checkpoint_names() -> Iterable[str]:
    """The names of packaged and published checkpoints, for completion."""
    from stylegan2.zoo import ZOO

    return ("scenes", "scenes-fitted", *ZOO)


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
