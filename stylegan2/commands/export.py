"""`topdis-gan export`: directions in the forms that other programs read.

    npy         direction_03.npy (w_dim,) and direction_03_layers.npy (num_ws, w_dim), zero in layers that do not
                move; one standard deviation each, for editors that add a multiple of an array to a code
    rosinality  one file like that of its closed-form factorisation: "eigvec" (w_dim, K), a column a direction
    json        everything: vectors, mean, layers, scores and settings

A vector is the displacement by one standard deviation, so that a degree or a strength of 2 means two of them.
"""

import io
import json
from pathlib import Path
from typing import Any, Literal

import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import make_folder, write_array, write_bytes, write_text
from stylegan2.commands.found import Found, checkpoint_of_run, open_found, require_same_checkpoint

__all__ = ["ExportFormat", "export"]

ExportFormat = Literal["npy", "rosinality", "json"]


def export(run: Path, to: ExportFormat, out: Path | None = None, *, ckpt: str | None = None) -> list[Path]:
    """Write the directions of `run` for other programs; return the paths.

    Args:
        run: a run folder, or a directions file.
        to: "npy", "rosinality" or "json".
        out: a folder for npy, a file for the others; by default `exported` in the run folder.
        ckpt: the checkpoint, whose layers npy needs; by default the one that the run names.

    Raises:
        CheckpointError: directions or checkpoint cannot be used, or do not belong together.
        InvalidArgumentError: the form cannot hold these directions.
        RunFolderError: a file cannot be written.
    """
    directions = Directions.load(run)
    folder = run if run.is_dir() else run.parent
    if to == "npy":
        return _write_arrays(open_found(run, ckpt=ckpt, device="cpu"), out or folder / "exported")
    if to == "json":
        return [
            write_text(out or make_folder(folder / "exported") / "directions.json", json.dumps(_as_json(directions)))
        ]
    if directions.metadata.get("space") != "w":
        raise InvalidArgumentError(
            f"--to rosinality holds directions of w, these are of {directions.metadata.get('space')}; give npy or json"
        )
    named = ckpt or checkpoint_of_run(run)
    if Path(named).is_file():
        require_same_checkpoint(directions, Path(named))
    content = {"ckpt": named, "eigvec": directions.vectors.T.contiguous().clone()}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return [write_bytes(out or make_folder(folder / "exported") / "factor.pt", buffer.getvalue())]


def _write_arrays(found: Found, out: Path) -> list[Path]:
    folder, space = make_folder(out), found.space
    written = []
    for index, vector in enumerate(found.directions.vectors):
        written.append(write_array(folder / f"direction_{index:02d}.npy", vector.numpy()))
        if space.name == "w":
            rows = torch.zeros(space.generator.num_ws, len(vector))
            rows[slice(None) if space.layers is None else list(space.layers)] = vector
            written.append(write_array(folder / f"direction_{index:02d}_layers.npy", rows.numpy()))
    return written


def _as_json(directions: Directions) -> dict[str, Any]:
    fields = {"vectors": "vectors", "readouts": "dual_vectors", "mean": "mean"}
    tensors = {name: getattr(directions, field).tolist() for name, field in fields.items()}
    return {**directions.score_table(), **tensors}
