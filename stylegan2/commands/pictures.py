"""The pictures of a run on a StyleGAN2 generator: which seeds walk, how far, and what stands beside them."""

import dataclasses
import warnings
from pathlib import Path

import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import set_aside
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.traversal.gallery import PageText, WalkSettings, write_gallery
from ganspace_topdis.traversal.labels import DirectionLabel
from ganspace_topdis.traversal.mixing import MOST_MIXED, largest_mix
from ganspace_topdis.traversal.names import NAMES_FILE, DirectionName, apply_names, read_names, write_names
from stylegan2.commands.ranges import written_short
from stylegan2.commands.summary import summary
from stylegan2.space import LatentSpace

__all__ = ["PictureOptions", "draw_run", "labels_of", "names_of", "page_text", "source_of"]

_MOST_MIXED, _MOST_MIXED_PIXELS = 2200, 12_000_000
"""Mixes are drawn by default as long as they are no more frames and pixels than this; 1024 px images get none."""

_MOST_SEED = 2**32 - 1  # of numpy.random.RandomState, see stylegan2.space.codes_of_seed

_SHOWN_SCORES = ("share", "spearman", "recognised", "agreement", "rtd_before", "rtd_after", "effect")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """What the pictures of a run show.

    Attributes:
        seeds: the images that walk; a seed is a z drawn with it.
        extent: the farthest shift, standard deviations.
        num_steps: frames of a walk, odd.
        truncation_psi: 1 leaves codes alone, 0 gives the mean image.
        truncation_cutoff: how many layers are truncated; None for all.
        batch_size: images at a time.
        num_mixed: directions that the page can move together; None for as many as take little time.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    extent: float = 3.0
    num_steps: int = 9
    truncation_psi: float = 0.7
    truncation_cutoff: int | None = None
    batch_size: int = 16
    num_mixed: int | None = None

    def __post_init__(self) -> None:
        if self.num_mixed is not None and not 0 <= self.num_mixed <= MOST_MIXED:
            raise InvalidArgumentError(f"--mix is {self.num_mixed}, allowed are 0 to {MOST_MIXED} directions")
        if not self.seeds:
            raise InvalidArgumentError("no seed was given for the pictures; give one or more, such as 0-5")
        outside = [seed for seed in self.seeds if not 0 <= seed <= _MOST_SEED]
        if outside:
            raise InvalidArgumentError(
                f"the seed {outside[0]} of the pictures is too large, allowed are 0 to {_MOST_SEED}"
            )
        self.walk(None)

    def walk(self, layers: tuple[int, ...] | None) -> WalkSettings:
        """How codes walk."""
        return WalkSettings(extent=self.extent, num_steps=self.num_steps, layers=layers, batch_size=self.batch_size)

    def mix(self, num_directions: int, image_px: int) -> int:
        """How many of `num_directions` the page can move together, for images of `image_px`."""
        if self.num_mixed is not None:
            return self.num_mixed
        most = min(_MOST_MIXED, _MOST_MIXED_PIXELS // image_px**2)
        return largest_mix(num_directions, len(self.seeds), self.num_steps, max_frames=most)


def labels_of(directions: Directions, names: dict[int, DirectionName] | None = None) -> list[DirectionLabel]:
    """A name and the scores of every direction; `names` are those that a user gave."""
    labels = []
    for index, row in enumerate(directions.score_table()["directions"]):
        scores = {name: value for name in _SHOWN_SCORES if isinstance(value := row.get(name), float)}
        name = f"Direction {index}" + (f" ({row['factor'].replace('_', ' ')})" if row.get("factor") else "")
        labels.append(DirectionLabel(index=index, name=name, scores=scores))
    return apply_names(labels, names or {})


def source_of(directions: Directions) -> str:
    """A hash that names of these directions carry: of the vectors alone, so that new scores do not change it."""
    return directions.fingerprint[:16]


def names_of(folder: Path, directions: Directions, given: Path | None = None) -> dict[int, DirectionName]:
    """The names that a user gave to `directions`: in the file `given`, else in the run's folder, else none.

    Names in the run's folder that cannot be used are left out, with a warning.

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
        warnings.warn(f"{error}; no names are shown, and the file is left as it is", stacklevel=2)
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


def page_text(directions: Directions, options: PictureOptions) -> PageText:
    """What stands above the page of `directions`."""
    return PageText(
        title=f"Directions found by {directions.metadata.get('method', 'a search')}",
        subtitle=_subtitle(directions, options),
        source=source_of(directions),
    )


def _subtitle(directions: Directions, options: PictureOptions) -> str:
    scores = summary(directions.metadata.get("scores", {}))
    texts = [f"{heading}: {text}" for heading, text in scores.items()]
    return "; ".join([*_where(directions), f"truncation {options.truncation_psi:g}", *texts])


def _where(directions: Directions) -> list[str]:
    """The space that directions were found in, and its layers where these were chosen."""
    space, layers = directions.metadata.get("space"), directions.metadata.get("layers")
    found_in = [] if space is None else [f"space {space.upper()}"]
    return found_in if layers is None else [*found_in, f"layers {written_short(layers)}"]


def draw_run(
    folder: Path, space: LatentSpace, directions: Directions, options: PictureOptions, *, names: Path | None = None
) -> list[Path]:
    """Draw all pictures and the page of a run into its folder; return what was written.

    Args:
        folder: the run's folder.
        space: where the directions live.
        directions: what is drawn.
        options: seeds, extent, steps, truncation, mixes.
        names: a file saved from a page; its names are kept in the folder from now on.

    Raises:
        InvalidArgumentError: the names cannot be read, or belong to other directions.
        RunFolderError: a file cannot be written.
    """
    given = names_of(folder, directions, names)
    if names is not None:
        _keep_names(folder / NAMES_FILE, directions, given)
    space = space.truncated(options.truncation_psi, options.truncation_cutoff)
    codes = space.codes_of_seeds(options.seeds)
    with torch.no_grad(), ProgressReporter("pictures") as progress:
        return write_gallery(
            folder,
            space.images,
            codes,
            directions,
            labels_of(directions, given),
            [f"seed {seed}" for seed in options.seeds],
            walk=options.walk(space.moving_layers),
            text=page_text(directions, options),
            num_mixed=options.mix(directions.num_directions, space.generator.img_resolution),
            progress=progress,
        )
