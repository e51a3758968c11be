"""`topdis-gan traverse`: more pictures of the directions of a run: grids, animations, or the page."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Settings, nested, option
from ganspace_topdis.runs.outputs import OutputSettings
from stylegan2.settings import PictureSettings, RunSettings, parse_numbers, short_name, written_short

if TYPE_CHECKING:
    from torch import Tensor

    from ganspace_topdis.traversal.gallery import PageText
    from ganspace_topdis.traversal.names import DirectionLabel
    from stylegan2.loading import LoadedRun

__all__ = ["COMMAND", "Options", "files_text", "run"]

_MAIN = "Main"


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What is drawn.

    Raises:
        InvalidArgumentError: `num_mixed` is given for a picture, which does not mix.
    """

    directions: Path = option(help="Run folder, or its directions file.", group=_MAIN, metavar="RUN")
    direction: tuple[int, ...] | None = option(
        None,
        help="Numbers of the directions: 3, or 0-2,5.",
        group=_MAIN,
        metavar="LIST",
        parse=parse_numbers,
        default_text="all",
    )
    format: Literal["png", "webp", "gif", "html"] = option(
        "png", help="A grid, an animation, or the page.", group=_MAIN
    )
    out: Path | None = option(
        None, help="Folder for the pictures.", group=_MAIN, default_text="traversals in the run folder"
    )
    output: OutputSettings = nested(OutputSettings)
    pictures: PictureSettings = nested(PictureSettings)
    loading: RunSettings = nested(RunSettings)
    names: Path | None = option(
        None, help="Names saved from the page.", group="Pictures", metavar="FILE", default_text="in the run folder"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pictures.num_mixed is not None and self.format != "html":
            raise InvalidArgumentError(
                f"`num_mixed` is not used by `format` {self.format}, only by html; leave `num_mixed` out",
                field="num_mixed",
            )


def run(options: Options) -> dict[str, Any]:
    """Draw walks along directions; return {"files": paths}.

    Raises:
        CheckpointError: directions or checkpoint cannot be used, or do not belong together.
        InvalidArgumentError: a direction or layer does not exist, or the names belong to other directions.
        RunFolderError: a picture exists and `force` is not set, or it cannot be written.
    """
    import torch

    from ganspace_topdis.runs.files import make_folder
    from ganspace_topdis.traversal.text import BETWEEN
    from stylegan2.loading import load_run
    from stylegan2.runs.pictures import labels_of, names_of, page_text

    pictures, chosen = options.pictures, options.direction
    loaded = load_run(options.directions, options.loading)
    labels = labels_of(loaded.directions, names_of(loaded.folder, loaded.directions, options.names))
    if chosen is not None:
        labels = [labels[index] for index in _existing(chosen, len(labels), options.directions)]
    folder = loaded.folder / "traversals" if options.out is None else options.out
    is_page, ending = options.format == "html", _file_ending(options)
    stems = [_of_page(chosen)] if is_page else [f"direction_{label.index:02d}" for label in labels]
    paths = [folder / f"{stem}_{ending}" for stem in stems]
    for path in paths:
        options.output.earlier(path)
    make_folder(folder)
    space = loaded.space.truncated(pictures.truncation_psi, pictures.truncation_cutoff)
    loaded = dataclasses.replace(loaded, space=space)
    codes = space.codes_of_seeds(pictures.seeds)
    loading = options.loading
    edit = {"--layers": loading.layers, "--label": loading.label, "--ckpt": loading.ckpt}
    text = page_text(loaded.directions, pictures, options.directions, edit=edit)
    if loading.layers is not None:  # what the scores were measured on is another walk
        moved = f"layers {loading.layers} move"
        text = dataclasses.replace(text, origin=f"{text.origin}{BETWEEN}{moved}", subtitle=f"{text.subtitle}; {moved}")
        labels = [dataclasses.replace(label, scores=_unit_alone(label.scores)) for label in labels]
    with torch.no_grad():
        if is_page:
            written = [_write_page(paths[0], loaded, codes, labels, pictures, text)]
        else:
            written = [
                _write_walk(path, loaded, codes, label, pictures, text.origin)
                for path, label in zip(paths, labels, strict=True)
            ]
    return {"files": [str(path) for path in written]}


def _unit_alone(scores: Mapping[str, float]) -> dict[str, float]:
    """The unit of the shifts, which is the same for all layers."""
    return {key: value for key, value in scores.items() if key == "unit"}


def _of_page(chosen: Sequence[int] | None) -> str:
    return "explorer" if chosen is None else f"explorer_directions_{written_short(sorted(chosen))}"


def _file_ending(options: Options) -> str:
    """The end of the names of all files: seeds, what differs from the defaults, and the format."""
    pictures, loading = options.pictures, options.loading
    parts = [f"seeds_{written_short(sorted(pictures.seeds))}"]
    shown = {"extent": "extent", "num_frames": "frames", "truncation_psi": "psi", "truncation_cutoff": "cutoff"}
    if options.format == "html":
        shown["num_mixed"] = "mix"
    for field, name in shown.items():
        value = getattr(pictures, field)
        if value != getattr(PictureSettings, field):
            parts.append(f"{name}_{value:g}")
    parts += [
        f"{name}_{value}" for name, value in (("layers", loading.layers), ("label", loading.label)) if value is not None
    ]
    return f"{short_name('_'.join(parts))}.{options.format}"


def _write_walk(
    path: Path, loaded: "LoadedRun", codes: "Tensor", label: "DirectionLabel", pictures: PictureSettings, origin: str
) -> Path:
    from ganspace_topdis.traversal.gallery import write_traversal
    from stylegan2.runs.pictures import walk_settings

    seeds, walk = [f"seed {seed}" for seed in pictures.seeds], walk_settings(pictures, loaded.space.layers)
    images = loaded.space.images
    return write_traversal(path, images, codes, loaded.directions, label, seeds, walk=walk, subtitle=origin)


def _write_page(
    path: Path,
    loaded: "LoadedRun",
    codes: "Tensor",
    labels: Sequence["DirectionLabel"],
    pictures: PictureSettings,
    text: "PageText",
) -> Path:
    from ganspace_topdis.runs.progress import ProgressReporter
    from ganspace_topdis.traversal.gallery import write_page
    from stylegan2.runs.pictures import num_mixed, walk_settings

    with ProgressReporter("pictures") as progress:
        return write_page(
            path,
            loaded.space.images,
            codes,
            loaded.directions,
            labels,
            [f"seed {seed}" for seed in pictures.seeds],
            walk=walk_settings(pictures, loaded.space.layers),
            text=text,
            num_mixed=num_mixed(pictures, len(labels), loaded.space.generator.img_resolution),
            progress=progress,
        )


def _existing(chosen: Sequence[int], num_directions: int, run: Path) -> Sequence[int]:
    missing = [index for index in chosen if not 0 <= index < num_directions]
    if missing:
        raise InvalidArgumentError(
            f"`direction` {missing[0]} does not exist: {run} holds 0 to {num_directions - 1}", field="direction"
        )
    return chosen


def files_text(record: Mapping[str, Any], options: Settings) -> str:
    """The files, one per line."""
    return "\n".join(record["files"])


COMMAND = Command(
    options=Options,
    run=run,
    to_text=files_text,
    help="Draw more pictures of the directions of a run: grids, animations, or the page.",
    examples=(
        "topdis-gan traverse --directions runs/ffhq --direction 3 --frames 9",
        "topdis-gan traverse --directions runs/ffhq --layers 0-7 --format webp",
    ),
)
