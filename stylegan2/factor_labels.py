"""Which checkpoints have known factors of variation, and the network that reads them from an image.

Truth is known for generators of scenes and of pebbles, by the description in their file, and for any generator for
which the user gives a factor network.
"""

from pathlib import Path

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.runs.checksummed import load_checksummed
from stylegan2.loading import ASSETS

__all__ = ["factor_network_for", "known_data"]

_KNOWN = {f"{name} of continuous factors (vae.data.{name})": name for name in ("scenes", "pebbles")}
_SIDE = 32


def factor_network_for(ckpt: Path, *, given: Path | None, wanted: bool | None) -> Path | None:
    """The file of the network that reads the factors of `ckpt`, or None where no truth is wanted or known.

    Args:
        ckpt: the checkpoint.
        given: the user's network; the packaged one by default, for generators of scenes and of pebbles.
        wanted: whether scores against factors are wanted; None where factors are known.

    Raises:
        InvalidArgumentError: truth is wanted and no factors are known, or a network is given and none is wanted.
    """
    if wanted is False:
        if given is not None:
            raise InvalidArgumentError(
                f"`factor_network` {given} needs truth, which is switched off; leave one of them out",
                field="factor_network",
            )
        return None
    if given is not None:
        return given
    if (data := known_data(ckpt)) is not None:
        return ASSETS / f"{data}_factors.safetensors"
    if wanted:
        raise InvalidArgumentError(
            f"the factors of {ckpt} are not known: give `factor_network`, which reads them from "
            "images, or leave `truth` out for the scores that need none",
            field="truth",
        )
    return None


def known_data(ckpt: Path) -> str | None:
    """The data of `ckpt`, "scenes" or "pebbles" of the size that the packaged networks read, or None."""
    if ckpt.suffix != ".safetensors":
        return None
    try:
        _, description = load_checksummed(ckpt)
    except CheckpointError:
        return None
    source, config = description.get("source", {}), description.get("config", {})
    return _KNOWN.get(source.get("data", "")) if config.get("img_resolution") == _SIDE else None
