"""The pictures of a run on a StyleGAN2 generator: which seeds walk, how far, and what stands beside them."""

import dataclasses
from pathlib import Path

import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.traversal.gallery import WalkSettings, write_gallery
from ganspace_topdis.traversal.labels import DirectionLabel
from stylegan2.space import WSpace, codes_of_seeds

__all__ = ["PictureOptions", "draw_run", "labels_of"]

_SHOWN_SCORES = ("share", "spearman", "rtd_before", "rtd_after", "effect")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """What the pictures of a run show.

    Attributes:
        seeds: the images that walk; a seed is a z drawn with it.
        extent: the farthest shift, standard deviations.
        num_steps: frames of a walk, odd.
        truncation_psi: 1 leaves codes alone, 0 gives the mean image.
        batch_size: images at a time.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    extent: float = 3.0
    num_steps: int = 9
    truncation_psi: float = 0.7
    batch_size: int = 16

    def __post_init__(self) -> None:
        if not self.seeds:
            raise InvalidArgumentError("no seed was given for the pictures; give one or more, such as 0-5")
        self.walk(None)

    def walk(self, layers: tuple[int, ...] | None) -> WalkSettings:
        """How codes walk."""
        return WalkSettings(extent=self.extent, num_steps=self.num_steps, layers=layers, batch_size=self.batch_size)


def labels_of(directions: Directions) -> list[DirectionLabel]:
    """A name and the scores of every direction."""
    labels = []
    for index, row in enumerate(directions.score_table()["directions"]):
        scores = {name: value for name in _SHOWN_SCORES if isinstance(value := row.get(name), float)}
        name = f"Direction {index}" + (f" ({row['factor'].replace('_', ' ')})" if row.get("factor") else "")
        labels.append(DirectionLabel(index=index, name=name, scores=scores))
    return labels


def draw_run(folder: Path, space: WSpace, directions: Directions, options: PictureOptions) -> list[Path]:
    """Draw all pictures and the page of a run into its folder; return what was written."""
    codes = codes_of_seeds(space.generator, options.seeds, label=space.label, truncation_psi=options.truncation_psi)
    facts = directions.metadata
    with torch.no_grad(), ProgressReporter("pictures") as progress:
        return write_gallery(
            folder,
            space.images,
            codes,
            directions,
            labels_of(directions),
            [f"seed {seed}" for seed in options.seeds],
            walk=options.walk(space.layers),
            title=f"Directions of {facts.get('method', 'a run')}",
            subtitle=f"truncation {options.truncation_psi:g}",
            source=str(facts.get("checkpoint_sha256", ""))[:16],
            progress=progress,
        )
