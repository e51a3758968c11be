"""`topdis-gan edit`: move codes of real images along directions, and draw them before and after.

    read codes -> fit them to the space of the directions -> move -> draw -> write codes, images and a record

edited.npy holds the moved codes in the form that they were given in: in w one style a layer.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import make_folder, write_array, write_bytes, write_json
from ganspace_topdis.traversal.frames import to_uint8
from ganspace_topdis.traversal.grid import cell_size, encode_png, resize_frame
from stylegan2.commands.found import open_found
from stylegan2.commands.pictures import names_of
from stylegan2.latents import fit_latents, read_latents
from stylegan2.space import LatentSpace, NoiseMode

__all__ = ["EditOptions", "edit", "parse_amounts"]

_LARGEST_AMOUNT = 100.0
_GAP_PX = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class EditOptions:
    """What is moved, and how far.

    Attributes:
        latents: a file of codes (see `stylegan2.latents`), or None to take those of `seeds`.
        seeds: codes of z drawn with each seed, where there is no file.
        amounts: as typed: "3=+2.0,5=-1", numbers or names of directions and standard deviations.
        layers: layers that move, as typed; None for those that the directions were found in.
        ckpt: the checkpoint; by default the one that the run names.
        tuned: the checkpoint is a copy of the run's that was tuned to an image, as PTI makes.
        label: the class of a conditional generator; by default the run's.
        truncation_psi: of the codes of `seeds`.
        noise_mode: "const", "random" or "none"; the run's by default.
        batch_size: images at a time.
        device: where to draw.
    """

    latents: Path | None = None
    seeds: tuple[int, ...] = ()
    amounts: str
    layers: str | None = None
    ckpt: str | None = None
    tuned: bool = False
    label: int | None = None
    truncation_psi: float = 0.7
    noise_mode: NoiseMode | None = None
    batch_size: int = 8
    device: str = "auto"

    def __post_init__(self) -> None:
        if (self.latents is None) == (not self.seeds):
            raise InvalidArgumentError("edit moves the codes of one source: give either --latents or --seeds")


def edit(run: Path, options: EditOptions, out: Path | None = None) -> list[Path]:
    """Move codes along directions of `run` and write what comes of it into `out`; return the paths.

    Args:
        run: a run folder, or a directions file.
        options: what is moved.
        out: the folder; by default `edits` in the run folder, and there one named after the codes.

    Raises:
        CheckpointError: codes, directions or checkpoint cannot be used, or do not belong together.
        InvalidArgumentError: a direction, layer, width or amount is out of range.
        RunFolderError: a file cannot be written.
    """
    codes = None if options.latents is None else read_latents(options.latents)
    found = open_found(
        run,
        ckpt=options.ckpt,
        layers=options.layers,
        label=options.label,
        device=options.device,
        tuned=options.tuned,
    )
    amounts = parse_amounts(options.amounts, found.directions, names=_names(found.folder, found.directions))
    space = found.space.truncated(options.truncation_psi if codes is None else 1.0)
    if options.noise_mode is not None:
        space = dataclasses.replace(space, noise_mode=options.noise_mode)
    before = space.codes_of_seeds(options.seeds) if codes is None else fit_latents(codes, space)
    after = before
    for index, amount in amounts.items():
        after = found.directions.move(after, index, amount, layers=space.moving_layers)
    stem = options.latents.stem if options.latents is not None else "seeds_" + "_".join(map(str, options.seeds[:8]))
    folder = make_folder(found.folder / "edits" / stem if out is None else out)
    codes_file = write_array(folder / "edited.npy", after.detach().cpu().float().numpy())
    written = [codes_file, *_draw(folder, space, before, after, options.batch_size)]
    record = {
        "amounts": {str(index): amount for index, amount in amounts.items()},
        "layers": None if space.moving_layers is None else list(space.moving_layers),
        "directions_sha256": found.directions.fingerprint,
        "checkpoint_sha256": found.directions.metadata.get("checkpoint_sha256"),
        "tuned": options.tuned,
        "latents": None if options.latents is None else options.latents.name,
        "seeds": list(options.seeds),
    }
    return [*written, write_json(folder / "edit.json", record)]


def parse_amounts(text: str, directions: Directions, *, names: Mapping[str, int]) -> dict[int, float]:
    """The directions that `text` names, with how far each moves, standard deviations.

    Args:
        text: "3=+2.0,smile=-1".
        directions: what the numbers count.
        names: names that were given to them.

    Raises:
        InvalidArgumentError: `text` cannot be read, or names a direction twice, or one that does not exist.
    """
    amounts: dict[int, float] = {}
    for part in text.split(","):
        name, equals, value = part.strip().rpartition("=")
        try:
            amount = float(value) if equals else float("nan")
        except ValueError:
            amount = float("nan")
        if not abs(amount) <= _LARGEST_AMOUNT:
            raise InvalidArgumentError(
                f"--set {part.strip()!r} cannot be read; give DIRECTION=AMOUNT with an amount in standard deviations "
                f"of at most {_LARGEST_AMOUNT:g}, such as 3=+2.0,5=-1"
            )
        index = _index_of(name.strip(), directions.num_directions, names)
        if index in amounts:
            raise InvalidArgumentError(f"--set moves direction {index} twice; give one amount for it")
        amounts[index] = amount
    return amounts


def _index_of(name: str, num_directions: int, names: Mapping[str, int]) -> int:
    if name.isdecimal() and int(name) < num_directions:
        return int(name)
    known = {given.casefold(): index for given, index in names.items()}
    if name.casefold() in known:
        return known[name.casefold()]
    near = get_close_matches(name.casefold(), known, n=1)
    hint = f", the nearest name is {near[0]!r}" if near else (f", or {', '.join(names)}" if names else "")
    raise InvalidArgumentError(f"--set names direction {name!r}; there are 0 to {num_directions - 1}{hint}")


def _names(folder: Path, directions: Directions) -> dict[str, int]:
    return {given.name: index for index, given in names_of(folder, directions).items() if given.name}


def _draw(folder: Path, space: LatentSpace, before: Tensor, after: Tensor, batch_size: int) -> list[Path]:
    """Every edited image by itself, and all of them beside what they were."""
    pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
    written = []
    with torch.no_grad():
        for codes, moved in zip(before.split(batch_size), after.split(batch_size), strict=True):
            for pair in zip(to_uint8(space.images(codes)), to_uint8(space.images(moved)), strict=True):
                written.append(write_bytes(folder / f"edited_{len(pairs):02d}.png", encode_png(_picture(pair[1]))))
                pairs.append(pair)
    return [write_bytes(folder / "before_after.png", encode_png(_sheet(pairs))), *written]


def _sheet(pairs: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> Image.Image:
    """A row a code: before, after; small images enlarged without smoothing."""
    width, height = cell_size(*pairs[0][0].shape[:2])
    sheet = Image.new("RGB", (2 * width + _GAP_PX, len(pairs) * (height + _GAP_PX) - _GAP_PX), "white")
    for row, pair in enumerate(pairs):
        for column, frame in enumerate(pair):
            place = column * (width + _GAP_PX), row * (height + _GAP_PX)
            sheet.paste(resize_frame(frame, (width, height)), place)
    return sheet


def _picture(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)
