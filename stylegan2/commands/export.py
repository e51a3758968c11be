"""`topdis-gan export`: directions in the formats of other programs.

    npy         direction_03.npy (w_dim,) and direction_03_layers.npy (num_ws, w_dim), zero in layers that do not
                move; one unit each, for editors that add a multiple of an array to a code. Of directions of s it is
                (num_channels,), and channels.json says where the channels of each affine layer are
    rosinality  one file like that of its closed-form factorization: "eigvec" (w_dim, K), one column per direction, for
                directions that move all layers
    json        everything: vectors, mean, layers, scores and settings

A vector is the displacement by one unit of the pages and of `edit`, so a degree or a strength of 2 means two units. The
units in standard deviations are in the JSON file; directions without them have units of one standard deviation.
"""

import io
import json
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Settings, nested, option
from ganspace_topdis.runs.outputs import OutputSettings, remove_earlier
from stylegan2.commands.traverse import files_text
from stylegan2.settings import RunSettings, written_short

if TYPE_CHECKING:
    from ganspace_topdis.latent.directions import Directions
    from stylegan2.loading import LoadedRun
    from stylegan2.space import StyleChannels

__all__ = ["COMMAND", "Options", "run"]


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What is written, and where."""

    run: Path = option(help="Run folder, or its directions file.", argument=True)
    to: Literal["npy", "rosinality", "json"] | None = option(None, help="Format.", group="Main")
    card: bool = option(False, help="A folder to share, with a model card, instead of a format.", group="Main")
    license: str | None = option(None, help="License of the card: cc-by-4.0, mit, other, ...", group="Main")
    out: Path | None = option(
        None, help="Folder (npy, card) or file.", group="Main", default_text="exported in the run folder"
    )
    output: OutputSettings = nested(OutputSettings)
    loading: RunSettings = nested(RunSettings, hide=("layers", "label", "device"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.to is None) != self.card:
            raise InvalidArgumentError("give either `to` with npy, rosinality or json, or `card`", field="to")
        if self.to == "json" and self.loading.ckpt is not None:
            raise InvalidArgumentError("`to` json needs no checkpoint; leave `ckpt` out", field="ckpt")
        if self.license is not None and not self.card:
            raise InvalidArgumentError("`license` is a line of the card; give `card`, or leave it out", field="license")
        if self.card and self.output.force:
            raise InvalidArgumentError(
                "`card` replaces no folder; leave `force` out, and give `out` another folder", field="force"
            )


def run(options: Options) -> dict[str, Any]:
    """Write the directions for other programs; return {"files": paths}.

    Raises:
        CheckpointError: directions or checkpoint cannot be used, or do not belong together.
        InvalidArgumentError: the format cannot hold these directions.
        RunFolderError: files exist and `force` is not set, or a file cannot be written.
    """
    from ganspace_topdis.latent.directions import Directions
    from ganspace_topdis.runs.files import make_folder, write_text
    from stylegan2.loading import load_run
    from stylegan2.runs.model_card import write_card

    directions = Directions.load(options.run)
    folder = (options.run if options.run.is_dir() else options.run.parent) / "exported"
    if options.card:
        out = options.out or folder / "card"
        shared = write_card(options.run, out, license_id=options.license, ckpt=options.loading.ckpt)
        return {"files": [str(path) for path in shared]}
    assert options.to is not None, "validated on construction"
    out = options.out or folder / {"npy": "", "json": "directions.json", "rosinality": "factor.pt"}[options.to]
    if options.to == "npy":
        loaded = load_run(options.run, replace(options.loading, device="cpu"))
        earlier = options.output.earlier(out, "direction_[0-9]*.npy", "channels.json")
        arrays = _write_arrays(loaded, out)
        remove_earlier(earlier, arrays)
        return {"files": [str(path) for path in arrays]}
    options.output.earlier(out)
    make_folder(out.parent)
    if options.to == "json":
        written = write_text(out, json.dumps(_as_json(directions)))
    else:
        written = _write_factor_file(directions, options, out)
    return {"files": [str(written)]}


def _write_arrays(loaded: "LoadedRun", out: Path) -> list[Path]:
    import torch

    from ganspace_topdis.runs.files import make_folder, write_array, write_text

    folder, space = make_folder(out), loaded.space
    written = []
    for index, vector in enumerate(loaded.directions.vectors):
        written.append(write_array(folder / f"direction_{index:02d}.npy", vector.numpy()))
        if space.name == "w":
            rows = torch.zeros(space.generator.num_ws, len(vector))
            rows[slice(None) if space.layers is None else list(space.layers)] = vector
            written.append(write_array(folder / f"direction_{index:02d}_layers.npy", rows.numpy()))
        if space.name == "w+":
            rows = space.broadcast_ws(vector[None])[0]
            written.append(write_array(folder / f"direction_{index:02d}_layers.npy", rows.numpy()))
    if space.name == "s":
        written.append(write_text(folder / "channels.json", json.dumps(_channels(space.styles), indent=1)))
    return written


def _channels(styles: "StyleChannels") -> list[dict[str, Any]]:
    """Where the channels of each affine layer are in a direction of s."""
    firsts = accumulate(styles.sizes, initial=0)
    parts = zip(styles.names, styles.layers, firsts, styles.sizes, strict=False)
    return [{"affine": name, "layer": layer, "first": first, "size": size} for name, layer, first, size in parts]


def _write_factor_file(directions: "Directions", options: Options, out: Path) -> Path:
    import torch

    from ganspace_topdis.runs.files import write_bytes
    from stylegan2.loading import checkpoint_of_run, require_same_checkpoint
    from stylegan2.zoo import is_on_this_machine, locate

    space = directions.metadata.get("space")
    if space != "w":
        others = "of latents; give json" if space is None else f"of {space}; give npy or json"
        raise InvalidArgumentError(f"`to` rosinality holds directions of w, these are {others}", field="to")
    layers = directions.metadata.get("layers")
    if layers is not None:
        raise InvalidArgumentError(
            f"`to` rosinality moves all layers, these directions move layers {written_short(layers)} only; give npy",
            field="to",
        )
    given = options.loading.ckpt
    named = given or checkpoint_of_run(options.run)
    if Path(named).is_file() or (given is not None and is_on_this_machine(given)):
        require_same_checkpoint(directions, locate(named))
    buffer = io.BytesIO()
    torch.save({"ckpt": named, "eigvec": directions.vectors.T.contiguous().clone()}, buffer)
    return write_bytes(out, buffer.getvalue())


def _as_json(directions: "Directions") -> dict[str, Any]:
    fields = {"vectors": "vectors", "readouts": "dual_vectors", "mean": "mean"}
    tensors = {name: getattr(directions, field).tolist() for name, field in fields.items()}
    return {**directions.score_table(), **tensors}


COMMAND = Command(
    options=Options,
    run=run,
    to_text=files_text,
    help="Write directions for other programs: arrays, rosinality's factor file, or JSON.",
    examples=(
        "topdis-gan export runs/ffhq --to npy",
        "topdis-gan export runs/ffhq --to rosinality --out factor.pt",
        "topdis-gan export runs/ffhq --card --license cc-by-4.0 --out card",
    ),
)
