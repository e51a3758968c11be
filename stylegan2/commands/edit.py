"""`topdis-gan edit`: move codes of real images along directions, and draw them before and after.

    read codes -> fit them to the space of the directions -> move -> draw -> write codes, images and a record

edited.npy holds the moved codes: (N, num_ws, w_dim) in w and w+, as inversions give them, (N, z_dim) in z, and in s
(N, num_channels).
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Settings, nested, option
from ganspace_topdis.runs.outputs import OutputSettings, remove_earlier
from stylegan2.commands.traverse import files_text
from stylegan2.settings import RunSettings, parse_numbers, short_name, written_short

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

    from ganspace_topdis.latent.directions import Directions
    from stylegan2.space import LatentSpace

__all__ = ["COMMAND", "Options", "parse_amounts", "run"]

_TRUNCATION_PSI = 0.7
_MAX_AMOUNT = 100.0
_GAP_PX, _TEXT_PX = 8, 16
_MAIN, _IMAGES, _MACHINE = "Main", "Pictures", "Machine"


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What is moved, and how far.

    Raises:
        InvalidArgumentError: neither or both of `latents` and `seeds` are given, `truncation_psi` with `latents`, or
            `tuned` without a checkpoint.
    """

    directions: Path = option(help="Run folder, or its directions file.", group=_MAIN, metavar="RUN")
    amounts: str = option(
        help="Directions and shifts, in units as on the page.", group=_MAIN, flag="--set", metavar="3=+2,5=-1"
    )
    latents: Path | None = option(None, help="Codes of images: .npy, .npz or .pt.", group=_MAIN, metavar="FILE")
    seeds: tuple[int, ...] = option(
        (), help="Codes of seeds instead: 1-8,12.", group=_MAIN, metavar="LIST", parse=parse_numbers
    )
    out: Path | None = option(
        None, help="Folder for codes and images.", group=_MAIN, default_text="edits/CODES_SHIFTS in the run folder"
    )
    output: OutputSettings = nested(OutputSettings)
    loading: RunSettings = nested(RunSettings)
    truncation_psi: float | None = option(
        None, help="Truncation of the codes of `seeds`.", group=_IMAGES, default_text=f"{_TRUNCATION_PSI:g}"
    )
    noise_mode: Literal["const", "random", "none"] | None = option(
        None, help="Noise of the images.", group=_IMAGES, flag="--noise", default_text="the run's"
    )
    tuned: bool = option(False, help="The checkpoint is the run's, tuned to an image, as PTI makes.", group=_MACHINE)
    batch_size: int = option(8, help="Images at a time.", hidden=True, minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.latents is None) == (not self.seeds):
            raise InvalidArgumentError(
                "edit moves the codes of one source: give either `latents` or `seeds`", field="latents"
            )
        if self.latents is not None and self.truncation_psi is not None:
            raise InvalidArgumentError(
                "codes of a file are not truncated; leave `truncation_psi` out", field="truncation_psi"
            )
        if self.tuned and self.loading.ckpt is None:
            raise InvalidArgumentError(
                "`tuned` is about a checkpoint of your own; give it as `ckpt`, or leave `tuned` out", field="tuned"
            )

    @property
    def psi(self) -> float:
        """The truncation: 1, that is none, for codes of a file."""
        if self.latents is not None:
            return 1.0
        return _TRUNCATION_PSI if self.truncation_psi is None else self.truncation_psi


def run(options: Options) -> dict[str, Any]:
    """Move codes along directions, write the results and return {"files": paths}.

    Raises:
        CheckpointError: codes, directions or checkpoint cannot be used, or do not belong together.
        InvalidArgumentError: a direction, layer, width or amount is out of range.
        RunFolderError: an earlier edit is there and `force` is not set, or a file cannot be written.
    """
    from ganspace_topdis.runs.files import make_folder, write_array, write_json
    from stylegan2.latents import fit_latents, read_latents
    from stylegan2.loading import load_run
    from stylegan2.runs.pictures import names_of

    # Codes, directions and their generator.
    codes = None if options.latents is None else read_latents(options.latents)
    loaded = load_run(options.directions, options.loading, tuned=options.tuned)
    names = {index: given.name for index, given in names_of(loaded.folder, loaded.directions).items() if given.name}
    amounts = parse_amounts(options.amounts, loaded.directions, names=names)
    space = loaded.space.truncated(options.psi)
    if options.noise_mode is not None:
        space = dataclasses.replace(space, noise_mode=options.noise_mode)

    folder = options.out or loaded.folder / "edits" / _folder_name(options, amounts)
    earlier = options.output.earlier(folder, "edited.npy", "edit.json", "before_after.png", "edited_[0-9]*.png")

    # Move.
    before = space.codes_of_seeds(options.seeds) if codes is None else fit_latents(codes, space)
    after = before
    for index, amount in amounts.items():
        after = loaded.directions.move(after, index, amount, layers=space.layers)

    # Write.
    moved = after if space.name in ("z", "s") else space.broadcast_ws(after)
    codes_file = write_array(make_folder(folder) / "edited.npy", moved.detach().cpu().float().numpy())
    written = [codes_file, *_draw(folder, space, before, after, options.batch_size)]
    record = {
        "amounts": {str(index): amount for index, amount in amounts.items()},
        "layers": None if space.layers is None else list(space.layers),
        "directions_sha256": loaded.directions.fingerprint,
        "checkpoint_sha256": loaded.directions.metadata.get("checkpoint_sha256"),
        "tuned": options.tuned,
        "latents": None if options.latents is None else options.latents.name,
        "seeds": list(options.seeds),
        "truncation_psi": options.psi if codes is None else None,
        "noise_mode": space.noise_mode,
    }
    written.append(write_json(folder / "edit.json", record))
    remove_earlier(earlier, written)
    return {"files": [str(path) for path in written]}


def _folder_name(options: Options, amounts: Mapping[int, float]) -> str:
    """The default folder: the codes, the shifts, and what else differs from the defaults."""
    codes = f"seeds_{written_short(sorted(options.seeds))}" if options.latents is None else options.latents.stem
    parts = [codes, "set", *(f"{index}={amount:+g}" for index, amount in sorted(amounts.items()))]
    if options.latents is None and options.psi != _TRUNCATION_PSI:
        parts += ["psi", f"{options.psi:g}"]
    chosen = {"layers": options.loading.layers, "label": options.loading.label, "noise": options.noise_mode}
    parts += [f"{name}_{value}" for name, value in chosen.items() if value is not None]
    if options.tuned:
        parts.append(f"tuned_{Path(str(options.loading.ckpt)).stem}")
    return short_name(re.sub(r"[^\w.,=+-]+", "-", "_".join(parts)))


def parse_amounts(text: str, directions: "Directions", *, names: Mapping[int, str]) -> dict[int, float]:
    """Direction -> shift in units of the direction, as `text` lists them.

    Args:
        text: "3=+2.0,smile=-1"; a name may hold commas.
        directions: the directions of the run.
        names: the names of directions, by their numbers.

    Raises:
        InvalidArgumentError: `text` cannot be read, or names a direction twice, one that does not exist, or
            one whose name another has, too.
    """
    amounts: dict[int, float] = {}
    for part in _split_amounts(text):
        name, equals, value = part.strip().rpartition("=")
        try:
            amount = float(value) if equals else float("nan")
        except ValueError:
            amount = float("nan")
        if not abs(amount) <= _MAX_AMOUNT:
            raise InvalidArgumentError(
                f"`amounts` {part.strip()!r} cannot be read; give DIRECTION=AMOUNT with an amount of at "
                f"most {_MAX_AMOUNT:g} units, such as 3=+2.0,5=-1",
                field="amounts",
            )
        index = _index_of(name.strip(), directions.num_directions, names)
        if index in amounts:
            raise InvalidArgumentError(
                f"`amounts` moves direction {index} twice; give one amount for it", field="amounts"
            )
        amounts[index] = amount
    return amounts


def _split_amounts(text: str) -> list[str]:
    """The parts of `text` between commas; one without an amount is the start of the next one's name.

    >>> _split_amounts("smile, wide=2,5=-1")
    ['smile, wide=2', '5=-1']
    """
    parts, start = [], ""
    for piece in text.split(","):
        start += piece
        if "=" in piece:
            parts.append(start)
            start = ""
        else:
            start += ","
    return [*parts, start.rstrip(",")] if start or not parts else parts


def _index_of(name: str, num_directions: int, names: Mapping[int, str]) -> int:
    if name.isdecimal() and int(name) < num_directions:
        return int(name)
    found = [index for index, given in names.items() if given.casefold() == name.casefold()]
    if len(found) > 1:
        raise InvalidArgumentError(
            f"`amounts` names {name!r}, but so are called directions {', '.join(map(str, found))}; give a number",
            field="amounts",
        )
    if found:
        return found[0]
    near = get_close_matches(name.casefold(), [given.casefold() for given in names.values()], n=1)
    hint = f", the nearest name is {near[0]!r}" if near else (f", or {', '.join(names.values())}" if names else "")
    raise InvalidArgumentError(
        f"`amounts` names direction {name!r}; there are 0 to {num_directions - 1}{hint}", field="amounts"
    )


def _draw(folder: Path, space: "LatentSpace", before: "Tensor", after: "Tensor", batch_size: int) -> list[Path]:
    """Write every edited image, and a sheet of all of them beside the originals."""
    import torch

    from ganspace_topdis.runs.files import write_bytes
    from ganspace_topdis.traversal.frames import to_uint8
    from ganspace_topdis.traversal.grid import encode_png

    pairs: list[Any] = []
    written = []
    with torch.no_grad():
        for codes, moved in zip(before.split(batch_size), after.split(batch_size), strict=True):
            for pair in zip(to_uint8(space.images(codes)), to_uint8(space.images(moved)), strict=True):
                written.append(write_bytes(folder / f"edited_{len(pairs):02d}.png", encode_png(_picture(pair[1]))))
                pairs.append(pair)
    return [write_bytes(folder / "before_after.png", encode_png(_sheet(pairs))), *written]


def _sheet(pairs: Sequence[Any]) -> "Image.Image":
    """One row per code under headings: before, after; small images are enlarged without smoothing."""
    from PIL import Image, ImageDraw

    from ganspace_topdis.traversal.grid import cell_size, resize_frame
    from ganspace_topdis.traversal.text import INK, PAPER, draw_text

    width, height = cell_size(*pairs[0][0].shape[:2])
    top, pitch = 2 * _TEXT_PX, height + _GAP_PX
    sheet = Image.new("RGB", (2 * width + _GAP_PX, top + len(pairs) * pitch - _GAP_PX), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, heading in enumerate(("Before", "After")):
        left = column * (width + _GAP_PX)
        draw_text(draw, left + width / 2, round(1.3 * _TEXT_PX), heading, _TEXT_PX, INK, "m")
        for row, pair in enumerate(pairs):
            sheet.paste(resize_frame(pair[column], (width, height)), (left, top + row * pitch))
    return sheet


def _picture(pixels: "NDArray[np.uint8]") -> "Image.Image":
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)


COMMAND = Command(
    options=Options,
    run=run,
    to_text=files_text,
    help="Move the codes of real images, or of seeds, along directions; write codes and images.",
    examples=(
        "topdis-gan edit --latents photo.npz --directions runs/ffhq --set 3=+2.0,5=-1",
        "topdis-gan edit --seeds 1-4 --directions runs/ffhq --set smile=1.5",
    ),
)
