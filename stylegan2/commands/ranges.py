"""Lists of numbers as people type them: "1-8,12" for seeds, "0-3,6" or "coarse" for layers."""

from collections.abc import Sequence

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["NAMED_LAYERS", "parse_features", "parse_layers", "parse_numbers", "written_short"]

NAMED_LAYERS = {"coarse": (0, 4), "middle": (4, 8), "fine": (8, None)}
"""StyleGAN's names (Karras et al. 2019, section 3.1): up to 8 px, 16 to 32 px, from 64 px."""

_MOST_NUMBERS = 10_000


def parse_numbers(text: str, *, option: str, names: str = "") -> tuple[int, ...]:
    """The numbers that `text` names, in its order, each once; `names` is what else the option takes.

    Raises:
        InvalidArgumentError: `text` is not a list of numbers and ranges.

    Example:
        >>> parse_numbers("1-3,7", option="--seeds")
        (1, 2, 3, 7)
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InvalidArgumentError(f"{option} is {text!r}; give numbers and ranges such as 1-8,12{names}")
        stop = int(last) if dash else int(first)
        if stop < int(first):
            raise InvalidArgumentError(f"{option} is {text!r}, a range that goes down; give {stop}-{first}")
        if stop - int(first) >= _MOST_NUMBERS:
            raise InvalidArgumentError(f"{option} is {text!r}; a range has at most {_MOST_NUMBERS} numbers")
        numbers.extend(range(int(first), stop + 1))
    return tuple(dict.fromkeys(numbers))


def parse_layers(text: str | None, num_layers: int, *, option: str = "--layers") -> tuple[int, ...] | None:
    """The layers that `text` names, in order; None for all.

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
        name = part.strip()
        if name in NAMED_LAYERS:
            layers.update(range(num_layers)[slice(*NAMED_LAYERS[name])])
        else:
            layers.update(parse_numbers(name, option=option, names=f", or {', '.join(NAMED_LAYERS)}"))
    outside = sorted(layer for layer in layers if layer >= num_layers)
    if outside or not layers:
        what = f"{option} {text!r} names no layer"
        if outside:
            beyond = f"layers {outside[0]} to {outside[-1]} do" if len(outside) > 1 else f"layer {outside[0]} does"
            what = f"{option} is {text!r}, but {beyond} not exist"
        raise InvalidArgumentError(
            f"{what}: this generator has layers 0 to {num_layers - 1}; coarse is 0-3, middle 4-7, fine 8 and up"
        )
    return tuple(sorted(layers))


def parse_features(text: str | None) -> int | None:
    """Where features are read: a block's side in px, 0 for "image", None for the default.

    Raises:
        InvalidArgumentError: `text` is neither.

    Example:
        >>> parse_features("16"), parse_features("image"), parse_features(None)
        (16, 0, None)
    """
    if text is None or text == "image":
        return None if text is None else 0
    if not text.isdecimal() or int(text) < 4:
        raise InvalidArgumentError(f"--features is {text!r}; give the side of a block such as 16, or image")
    return int(text)


def written_short(numbers: Sequence[int]) -> str:
    """What `parse_numbers` reads as these increasing numbers.

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
