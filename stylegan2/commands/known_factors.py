"""Which checkpoints have known factors of variation, and the network that reads them from an image.

Truth is known for generators of scenes, which say so in the description of their file, and for any generator
that the user brings a factor network for.
"""

from pathlib import Path

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.runs.checksummed import load_checksummed
from stylegan2.loading import ASSETS

__all__ = ["factor_network_for", "makes_scenes"]

_SCENES_DATA = "scenes of continuous factors (vae.data.scenes)"
_SCENES_SIDE = 32


def factor_network_for(ckpt: Path, *, given: Path | None, wanted: bool | None) -> Path | None:
    """The file of the network that reads the factors of `ckpt`, or None where no truth is wanted or known.

    Args:
        ckpt: the checkpoint.
        given: the user's network; the packaged one by default, for generators of scenes.
        wanted: whether scores against factors are wanted; None where factors are known.

    Raises:
        InvalidArgumentError: truth is wanted and no factors are known, or a network is given and none is wanted.
    """
    if wanted is False:
        if given is not None:
            raise InvalidArgumentError(f"--factors {given} and --no-truth contradict each other; leave one out")
        return None
    if given is not None:
        return given
    if makes_scenes(ckpt):
        return ASSETS / "scenes_factors.safetensors"
    if wanted:
        raise InvalidArgumentError(
            f"the factors of {ckpt} are not known: give a network that reads them with --factors, "
            "or leave --truth out for the scores that need none"
        )
    return None


def makes_scenes(ckpt: Path) -> bool:
    """Whether `ckpt` is a generator of ours, trained on scenes of the side that the packaged network reads."""
    if ckpt.suffix != ".safetensors":
        return False
    try:
        _, description = load_checksummed(ckpt)
    except CheckpointError:
        return False
    source, config = description.get("source", {}), description.get("config", {})
    return source.get("data") == _SCENES_DATA and config.get("img_resolution") == _SCENES_SIDE
