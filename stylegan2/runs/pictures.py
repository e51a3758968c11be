"""The pictures of a run on a StyleGAN2 generator, and the names and scores beside them."""

import os
import shlex
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ganspace_topdis.discovery.cloud_measures import PartialStore
from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.report.values import format_factor, score_name
from ganspace_topdis.runs.files import set_aside
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.runs.records import read_run
from ganspace_topdis.traversal.gallery import PageText, WalkSettings, write_gallery
from ganspace_topdis.traversal.mixing import largest_mix
from ganspace_topdis.traversal.names import (
    CHANCE_LEVEL,
    NAMES_FILE,
    DirectionLabel,
    DirectionName,
    apply_names,
    read_names,
    write_names,
)
from ganspace_topdis.traversal.text import BETWEEN
from stylegan2.runs.frames import SavedFrames, frames_key
from stylegan2.settings import PictureSettings, written_short
from stylegan2.space import LatentSpace

__all__ = [
    "draw_run",
    "edit_command",
    "labels_of",
    "names_of",
    "num_mixed",
    "page_text",
    "shown_run",
    "source_of",
    "summary",
    "walk_settings",
]

_MAX_MIXED_FRAMES, _MAX_MIXED_PIXELS = 2200, 12_000_000
"""By default the page mixes as many directions as need no more frames and pixels than this; none at 1024 px."""

_SHOWN_SCORES = (
    *("rank", "score", "chance", "rtd_before", "rtd_after", "share", "own_change", "spearman", "recognized"),
    *("agreement", "mixed", "overlap", "effect", "unit"),
)
"""In the order in which they are read: where a picture has no room for all, the last ones are left out."""


def walk_settings(pictures: PictureSettings, layers: tuple[int, ...] | None) -> WalkSettings:
    """How codes walk; `layers` are those that move."""
    return WalkSettings(
        extent=pictures.extent, num_steps=pictures.num_frames, layers=layers, batch_size=pictures.batch_size
    )


def num_mixed(pictures: PictureSettings, num_directions: int, image_px: int) -> int:
    """How many of `num_directions` the page moves together, for images of `image_px`."""
    if pictures.num_mixed is not None:
        return pictures.num_mixed
    most = min(_MAX_MIXED_FRAMES, _MAX_MIXED_PIXELS // image_px**2)
    return largest_mix(num_directions, len(pictures.seeds), pictures.num_frames, max_frames=most)


def labels_of(directions: Directions, names: dict[int, DirectionName] | None = None) -> list[DirectionLabel]:
    """The name, the marks and the scores of every direction; `names` are the user's."""
    labels = []
    for index, row in enumerate(directions.score_table()["directions"]):
        scores = {name: value for name in _SHOWN_SCORES if isinstance(value := row.get(name), int | float)}
        marks = [format_factor(row["factor"], row.get("share"))] if row.get("factor") else []
        if row.get("better_than_chance") is False:
            marks.append(CHANCE_LEVEL)
        labels.append(DirectionLabel(index=index, name=f"Direction {index}", scores=scores, marks=tuple(marks)))
    return apply_names(labels, names or {})


def source_of(directions: Directions) -> str:
    """The hash that a names file carries: of the vectors alone, so that new scores do not change it."""
    return directions.fingerprint[:16]


def names_of(folder: Path, directions: Directions, given: Path | None = None) -> dict[int, DirectionName]:
    """The user's names of `directions`: those in the file `given`, else in the run's folder, else none.

    Names in the run's folder that cannot be used are omitted, with a warning.

    Raises:
        InvalidArgumentError: the file `given` cannot be read, or belongs to other directions.
    """
    source = source_of(directions)
    if given is not None:
        return read_names(given, num_directions=directions.num_directions, source=source)
    if not (folder / NAMES_FILE).exists():
        return {}
    try:
        return read_names(folder / NAMES_FILE, num_directions=directions.num_directions, source=source)
    except InvalidArgumentError as error:
        warnings.warn(f"{error}; no names are shown, and the file is not changed", stacklevel=2)
        return {}


def _keep_names(path: Path, directions: Directions, names: dict[int, DirectionName]) -> None:
    """Write `names` to `path`; what it held, if it was something else, is kept beside it."""
    source = source_of(directions)
    try:
        if path.exists() and read_names(path, source=source) == names:
            return
    except InvalidArgumentError:
        pass
    if path.exists():
        warnings.warn(f"{path} held other names, which are kept as {set_aside(path).name}", stacklevel=3)
    write_names(path, names, source=source)


def page_text(
    directions: Directions, options: PictureSettings, run: Path, *, edit: Mapping[str, object] | None = None
) -> PageText:
    """The text of the page of `directions`, which are those of `run`, a run folder or a directions file.

    Args:
        directions: the directions.
        options: truncation of the images.
        run: where the directions are.
        edit: options of the command that the page offers, besides run and truncation; {"--layers": "0-7"}.
    """
    origin = _origin(directions, run)
    method = directions.metadata.get("method")
    return PageText(
        title=f"Directions found by {method or 'a search'}",
        subtitle="; ".join([*origin, *_where(directions), f"truncation {options.truncation_psi:g}"]),
        summary=_summary(directions),
        source=source_of(directions),
        origin=BETWEEN.join([*([method] if method else []), *origin]),
        command=_page_command(shown_run(run), options, edit or {}),
        command_note=f"run it in the folder that holds {shown_run(run)}, or put the run's path there",
    )


def shown_run(run: Path) -> str:
    """The path of a run for a page that others may read: relative to the working directory, else the run's name.

    A path from the root means nothing on another machine, and names folders that are nobody's business.
    """
    path = Path(os.path.relpath(run)) if run.is_absolute() and run.is_relative_to(Path.cwd()) else run
    folder = run if run.is_dir() or not run.suffix else run.parent
    return folder.name if path.is_absolute() else str(path)


def _page_command(run: str, options: PictureSettings, edit: Mapping[str, object]) -> str:
    """`topdis-gan edit` for the images of a page; none where its truncation has a cutoff, which edit has not."""
    if options.truncation_cutoff is not None:
        return ""
    return edit_command({"--directions": run, "--truncation-psi": f"{options.truncation_psi:g}", **edit})


def edit_command(given: Mapping[str, object]) -> str:
    """`topdis-gan edit` as it is typed, with options by name; those of None are left out.

    >>> edit_command({"--directions": "my run", "--label": None})
    "topdis-gan edit --directions 'my run'"
    """
    texts = [f"{name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None]
    return " ".join(["topdis-gan edit", *texts])


def _origin(directions: Directions, run: Path) -> list[str]:
    """The run, and its checkpoint by the name that was given for it, else by its hash."""
    folder = run if run.is_dir() else run.parent
    name = folder.resolve().name if run.name in (folder.name, "directions.safetensors") else run.stem
    try:
        return [f"run {name}", f"checkpoint {Path(str(read_run(folder).config['ckpt'])).name}"]
    except (RunFolderError, KeyError):
        sha256 = directions.metadata.get("checkpoint_sha256")
        return [f"run {name}"] if sha256 is None else [f"run {name}", f"checkpoint {sha256[:12]}"]


def _summary(directions: Directions) -> str:
    scores = summary(directions.metadata.get("scores", {}))
    return "; ".join(f"{heading}: {text}" for heading, text in scores.items())


def _where(directions: Directions) -> list[str]:
    """The space that directions were found in, and its layers where these were chosen."""
    space, layers = directions.metadata.get("space"), directions.metadata.get("layers")
    found_in = [] if space is None else [f"space {space.upper()}"]
    return found_in if layers is None else [*found_in, f"layers {written_short(layers)}"]


def draw_run(
    folder: Path,
    space: LatentSpace,
    directions: Directions,
    options: PictureSettings,
    *,
    names: Path | None = None,
    store: PartialStore | None = None,
) -> list[Path]:
    """Draw all pictures and the page of a run into its folder; return what was written.

    Args:
        folder: the run folder.
        space: the space of the directions.
        directions: the directions to draw.
        options: seeds, extent, frames, truncation, mixes.
        names: a file saved from a page; its names are copied into the folder.
        store: saves the frames while they are drawn, and restores them.

    Raises:
        InvalidArgumentError: the names cannot be read, or belong to other directions.
        RunFolderError: a file cannot be written.
        StopRequestedError: Ctrl-C or SIGTERM; the frames are saved in the store.
    """
    given = names_of(folder, directions, names)
    if names is not None:
        _keep_names(folder / NAMES_FILE, directions, given)
    space = space.truncated(options.truncation_psi, options.truncation_cutoff)
    codes = space.codes_of_seeds(options.seeds)
    key = frames_key(space, directions.metadata)
    with torch.no_grad(), ProgressReporter("pictures") as progress:
        return write_gallery(
            folder,
            space.images if store is None else SavedFrames(space.images, store, key),
            codes,
            space.placed(directions),
            labels_of(directions, given),
            [f"seed {seed}" for seed in options.seeds],
            walk=walk_settings(options, space.layers),
            text=page_text(directions, options, folder),
            num_mixed=num_mixed(options, directions.num_directions, space.generator.img_resolution),
            progress=progress,
        )


def summary(scores: Mapping[str, Any]) -> dict[str, str]:
    """Heading -> text for each score of a run as a whole, in a fixed order; for the terminal and the page.

    >>> summary({"agreement": {"mean": 0.912, "num_others": 2}})
    {'agreement': 'mean |cos| 0.912 with 2 other runs'}
    """
    return {heading: write(scores[key]) for key, (heading, write) in _LINES.items() if key in scores}


def _means(rescoring: Mapping[str, Any]) -> str:
    ratios = [ratio for ratio in rescoring["off_target"] if ratio is not None]
    off_target = f", off over on target {sum(ratios) / len(ratios):.2f}" if ratios else ""
    return f"share {rescoring['mean_share']:.3f}, Spearman {rescoring['mean_spearman']:.3f}{off_target}"


def _reconstructor(scores: Mapping[str, Any]) -> str:
    return (
        f"{scores['accuracy']:.3f} of {scores['num_pairs']} unseen pairs were assigned to their direction "
        f"(chance: {scores['chance']:.3f})"
    )


def _agreement(scores: Mapping[str, Any]) -> str:
    runs = "run" if scores["num_others"] == 1 else "runs"
    return f"mean |cos| {scores['mean']:.3f} with {scores['num_others']} other {runs}"


def _protocol(scores: Mapping[str, Any]) -> str:
    named = {"mig": "MIG", "disentanglement": "DCI", "factor_vae_score": "FactorVAE score"}
    parts = [f"{name} {scores[key]:.3f}" for key, name in named.items()]
    known = {*named, "completeness", "informativeness", "encoder_error"}
    parts += [f"{score_name(key)} {score:.3f}" for key, score in scores.items() if key not in known]
    return ", ".join([*parts, f"encoder error {scores['encoder_error']:.3f}"])


_LINES: dict[str, tuple[str, Any]] = {
    "rescoring": ("mean over factors", _means),
    "oracle": ("oracle", _means),
    "noise_floor": ("noise floor", lambda floor: ", ".join(f"{name} {part:.3f}" for name, part in floor.items())),
    "reconstructor": ("reconstructor", _reconstructor),
    "agreement": ("agreement", _agreement),
    "protocol": ("encoder protocol", _protocol),
}
