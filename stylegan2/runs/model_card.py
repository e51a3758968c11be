"""A folder of directions to share: the directions, pictures of them, and a model card for the Hugging Face Hub.

    directions.safetensors    the directions, whose metadata name the checkpoint if it is published
    README.md                 the card: license, checkpoint and its SHA-256, method, scores, how to apply them
    pictures/                 the overview, and a grid for each of the first directions

The front matter follows "Model Cards" in the hub's documentation (https://huggingface.co/docs/hub/model-cards). A file
of this machine is named without its folder.
"""

import dataclasses
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError, RunFolderError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.report.values import score_name
from ganspace_topdis.runs.files import make_folder, write_text
from stylegan2.loading import CHECKPOINT_KEY, checkpoint_of_run, require_same_checkpoint
from stylegan2.runs.pictures import labels_of, names_of, summary
from stylegan2.zoo import is_on_this_machine, is_published, locate

__all__ = ["write_card"]

_MOST_GRIDS = 8
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{1,60}")
_SHOWN = ("score", "chance", "effect", "rtd_before", "rtd_after")


def write_card(run: Path, out: Path, *, license_id: str | None, ckpt: str | None = None) -> list[Path]:
    """Write the folder that shares the directions of `run`; return its files.

    Args:
        run: a run folder, or a directions file, which has no pictures.
        out: the folder, new or empty.
        license_id: the hub's identifier of the license of the directions, such as "cc-by-4.0".
        ckpt: the checkpoint's name; by default the one that the run folder names.

    Raises:
        CheckpointError: the directions cannot be used, or `ckpt` is on this machine and another one.
        InvalidArgumentError: there is no license, or it is no identifier.
        RunFolderError: the folder is not empty, or a file cannot be written.
    """
    _check_license(license_id)
    directions, folder = Directions.load(run), run if run.is_dir() else run.parent
    if "space" not in directions.metadata:
        raise CheckpointError(
            f"{run} does not say which space of a generator its directions are of; a card is for those"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunFolderError(f"{out} is not empty; give a new folder as `out`")
    if ckpt is not None and is_on_this_machine(ckpt):
        require_same_checkpoint(directions, locate(ckpt))
    named = ckpt or _checkpoint(run)
    if named is not None and is_published(named):
        metadata = {**directions.metadata, CHECKPOINT_KEY: named}
        directions = dataclasses.replace(directions, metadata=metadata)
    shown = None if named is None else named if is_published(named) else Path(named).name
    written = [directions.save(make_folder(out) / "directions.safetensors")]
    pictures = _copy_pictures(folder / "traversals", out / "pictures", directions.num_directions)
    labels = [label.heading for label in labels_of(directions, names_of(folder, directions))]
    text = _card(directions, labels, str(license_id), shown, [path.name for path in pictures])
    return [*written, write_text(out / "README.md", text), *pictures]


def _check_license(license_id: str | None) -> None:
    if license_id is None:
        raise InvalidArgumentError(
            "a card needs a `license`: give the hub's identifier, such as cc-by-4.0, cc-by-nc-4.0, mit or other; "
            "the license of the checkpoint may restrict it",
            field="license",
        )
    if not _LICENSE.fullmatch(license_id):
        raise InvalidArgumentError(
            f"`license` is {license_id!r}; give the hub's identifier in lower case, such as cc-by-4.0, mit or other",
            field="license",
        )


def _checkpoint(run: Path) -> str | None:
    try:
        return checkpoint_of_run(run)
    except CheckpointError:
        return None


def _copy_pictures(source: Path, target: Path, num_directions: int) -> list[Path]:
    """Copy the overview and the grids of the first directions, those that exist."""
    names = ["overview.png", *(f"direction_{index:02d}.png" for index in range(min(num_directions, _MOST_GRIDS)))]
    found = [name for name in names if (source / name).is_file()]
    try:
        return [Path(shutil.copyfile(source / name, make_folder(target) / name)) for name in found]
    except OSError as error:
        raise RunFolderError(f"cannot write into {target}: {error.strerror or error}") from error


def _card(
    directions: Directions, labels: Sequence[str], license_id: str, ckpt: str | None, pictures: Sequence[str]
) -> str:
    facts, method = directions.metadata, directions.metadata.get("method", "a search")
    head = ["---", f"license: {license_id}", "library_name: topdis-gan", "tags:"]
    head += [f"- {tag}" for tag in ("stylegan2", "gan", "latent-directions", "disentanglement")] + ["---"]
    rows = [
        ("checkpoint", ckpt or "not named"),
        ("SHA-256 of the checkpoint", facts.get("checkpoint_sha256", "unknown")),
        ("method", method),
        ("space", facts["space"]),
        ("layers", facts.get("layers") or "all"),
        ("SHA-256 of the vectors", directions.fingerprint),
        ("made with", f"topdis-gan {facts.get('version', '')}".strip()),
    ]
    rows += list(summary(facts.get("scores", {})).items())
    given = "" if ckpt is not None and is_published(ckpt) else " --ckpt FILE"
    use = f"topdis-gan traverse --directions hf://OWNER/REPO/directions.safetensors{given}"
    parts = [
        "\n".join(head),
        f"# {directions.num_directions} directions of a StyleGAN2 generator, found by {_plain(method)}",
        *([f"![All directions](pictures/{pictures[0]})"] if pictures[:1] == ["overview.png"] else []),
        _table(("", ""), rows),
        "## How to apply them\n\n"
        f"```\n{use}\n{use.replace('traverse', 'edit')} --seeds 1-4 --set 0=+2\n```\n\n"
        f"The checkpoint must have the SHA-256 above. {_unit(directions)}",
        "## Scores\n\n" + _scores(directions.score_table(), labels),
        *(f"![{Path(name).stem}](pictures/{name})" for name in pictures if name != "overview.png"),
    ]
    return "\n\n".join(parts) + "\n"


def _unit(directions: Directions) -> str:
    """What one unit of a shift is."""
    if "unit" in directions.metadata:
        return "One unit changes the images about equally along all directions; the file holds its length."
    return "One unit is one standard deviation of the codes."


def _scores(table: Mapping[str, Any], labels: Sequence[str]) -> str:
    """The scores of every direction, on codes that the search did not see."""
    columns = [key for key in _SHOWN if any(isinstance(row.get(key), float) for row in table["directions"])]
    rows = [
        (label, *(f"{row[key]:.4g}" if isinstance(row.get(key), float) else "" for key in columns))
        for label, row in zip(labels, table["directions"], strict=True)
    ]
    return _table(("direction", *map(score_name, columns)), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _plain(value: object) -> str:
    """A value on one line of Markdown, without markup of its own."""
    return re.sub(r"[|<>\[\]`\\\s]+", " ", str(value)).strip()
