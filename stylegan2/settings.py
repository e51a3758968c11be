"""Settings that commands share, and the notations in which people type seeds and layers.

    PictureSettings    what the pictures of a run show
    RunSettings        how the directions of a run are loaded

Seeds and layers are lists of numbers and ranges: "1-8,12", "0-3,6"; layers also have StyleGAN's names. No torch is
imported here.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from ganspace_topdis.discovery.settings import Whitening
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import MAX_SEED, Settings, device_option, option

__all__ = [
    "NAMED_LAYERS",
    "WHITENING",
    "PictureSettings",
    "RunSettings",
    "checkpoint_names",
    "parse_features",
    "parse_layers",
    "parse_numbers",
    "short_name",
    "written_short",
]

NAMED_LAYERS = {"coarse": (0, 4), "middle": (4, 8), "fine": (8, None)}
"""StyleGAN's names (Karras et al. 2019, section 3.1): up to 8 px, 16 to 32 px, from 64 px."""

WHITENING: Mapping[str, Whitening] = {"z": "full", "w": "full", "w+": "layers", "s": "channels"}
"""How a search whitens the codes of each space: those of the last two are functions of a w of fewer numbers."""

_MOST_NUMBERS = 10_000
_MAX_NAME_BYTES = 150
_MAX_MIXED = 8  # as many as the page lists, `ganspace_topdis.traversal.mixing`
_PICTURES, _MACHINE = "Pictures", "Machine"


def parse_numbers(text: str, name: str = "seeds", *, names: str = "") -> tuple[int, ...]:
    """The numbers that `text` lists, in its order, each once.

    Args:
        text: numbers and ranges.
        name: the setting, for messages.
        names: what else the setting takes, for messages.

    Raises:
        InvalidArgumentError: `text` is not a list of numbers and ranges.

    Example:
        >>> parse_numbers("1-3,7")
        (1, 2, 3, 7)
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InvalidArgumentError(f"`{name}` is {text!r}; give numbers and ranges such as 1-8,12{names}")
        stop = int(last) if dash else int(first)
        if stop < int(first):
            raise InvalidArgumentError(f"`{name}` is {text!r}, a descending range; give {stop}-{first}")
        if stop - int(first) >= _MOST_NUMBERS:
            raise InvalidArgumentError(f"`{name}` is {text!r}; a range has at most {_MOST_NUMBERS} numbers")
        numbers.extend(range(int(first), stop + 1))
    return tuple(dict.fromkeys(numbers))


def parse_layers(text: str | None, num_layers: int) -> tuple[int, ...] | None:
    """The layers that `text` lists, in order; None for all.

    Raises:
        InvalidArgumentError: a layer does not exist, or `text` cannot be read.

    Example:
        >>> parse_layers("0-3,6", 10), parse_layers("middle", 10), parse_layers(None, 10)
        ((0, 1, 2, 3, 6), (4, 5, 6, 7), None)
    """
    if text is None or text.strip() == "all":
        return None
    layers: set[int] = set()
    for part in text.split(","):
        part_name = part.strip()
        if part_name in NAMED_LAYERS:
            layers.update(range(num_layers)[slice(*NAMED_LAYERS[part_name])])
        else:
            layers.update(parse_numbers(part_name, "layers", names=f", or {', '.join(NAMED_LAYERS)}"))
    outside = sorted(layer for layer in layers if layer >= num_layers)
    if outside or not layers:
        what = f"`layers` {text!r} names no layer"
        if outside:
            beyond = f"layers {outside[0]} to {outside[-1]} do" if len(outside) > 1 else f"layer {outside[0]} does"
            what = f"`layers` is {text!r}, but {beyond} not exist"
        raise InvalidArgumentError(
            f"{what}: this generator has layers 0 to {num_layers - 1}; coarse is 0-3, middle 4-7, fine 8 and up"
        )
    return tuple(sorted(layers))


def parse_features(text: str | None, name: str = "features") -> int | None:
    """Where features are read: the side of a block in px, 0 for "image", None for the default.

    Raises:
        InvalidArgumentError: `text` is neither.

    Example:
        >>> parse_features("16"), parse_features("image"), parse_features(None)
        (16, 0, None)
    """
    if text is None or text == "image":
        return None if text is None else 0
    if not text.isdecimal() or int(text) < 4:
        raise InvalidArgumentError(f"`{name}` is {text!r}; give the side of a block such as 16, or image")
    return int(text)


def written_short(numbers: Sequence[int]) -> str:
    """The text that `parse_numbers` reads as these increasing numbers.

    Example:
        >>> written_short([0, 1, 2, 3, 6])
        '0-3,6'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def short_name(name: str) -> str:
    """`name` as part of a file name: a long one is cut, and a digest tells it from others with the same start."""
    encoded = name.encode()
    if len(encoded) <= _MAX_NAME_BYTES:
        return name
    return f"{encoded[:_MAX_NAME_BYTES].decode(errors='ignore')}_{hashlib.sha256(encoded).hexdigest()[:8]}"


@dataclass(frozen=True, kw_only=True)
class PictureSettings(Settings):
    """What the pictures of a run show.

    Raises:
        InvalidArgumentError: a name is unknown, or a value is not allowed.
    """

    seeds: tuple[int, ...] = option(
        (0, 1, 2, 3, 4, 5),
        help="Images that are drawn, by the seeds of their codes: 1-8,12.",
        group=_PICTURES,
        metavar="LIST",
        parse=parse_numbers,
    )
    extent: float = option(3.0, help="Largest shift, units of the directions.", group=_PICTURES, unit="units", above=0)
    num_frames: int = option(9, help="Images per walk, an odd number.", group=_PICTURES, flag="--frames", minimum=3)
    truncation_psi: float = option(
        0.7, help="Truncation of the pictures; 1 for none, 0 for the mean image.", group=_PICTURES
    )
    truncation_cutoff: int | None = option(
        None, help="Number of layers that are truncated.", group=_PICTURES, minimum=0, default_text="all"
    )
    num_mixed: int | None = option(
        None,
        help="Directions that the page moves together.",
        group=_PICTURES,
        flag="--mix",
        minimum=0,
        maximum=_MAX_MIXED,
        default_text="as many as are drawn quickly",
    )
    batch_size: int = option(16, help="Images synthesized at a time.", hidden=True, minimum=1)

    FORMER: ClassVar[Mapping[str, str]] = {"num_steps": "num_frames"}
    """Names in the folders of earlier runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.seeds or not all(0 <= seed <= MAX_SEED for seed in self.seeds):
            self.refuse("seeds", f"one or more numbers from 0 to {MAX_SEED}, such as 0-5")
        if self.num_frames % 2 == 0:
            self.refuse("num_frames", "odd, so that the middle image is not shifted")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "PictureSettings":
        """The settings that the configuration of a run folder holds.

        Raises:
            InvalidArgumentError: a value is not allowed.
        """
        known = {entry.name for entry in fields(cls)}
        values: dict[str, Any] = {cls.FORMER.get(name, name): value for name, value in config.items()}
        if "seeds" in values:
            values["seeds"] = tuple(values["seeds"])
        return cls(**{name: value for name, value in values.items() if name in known})


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
    device: str = device_option(_MACHINE)
