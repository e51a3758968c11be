"""Traversals of latents, drawn by the same code as those of StyleGAN2 directions.

A latent is a direction along its axis; one standard deviation is that of the prior, 1. The traversals start at mean
codes of images of the data set and show live latents only (see `scores.Latent`), in order of decreasing KL divergence.

    explorer.html, traversals/        see ganspace_topdis.traversal.gallery
    traversals/latents.gif            all of them at once, from one image
    directions.safetensors            the latents as directions, for other tools
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.traversal.animation import write_animation
from ganspace_topdis.traversal.frames import traverse_all
from ganspace_topdis.traversal.gallery import PageText, WalkSettings, write_gallery
from ganspace_topdis.traversal.names import DirectionLabel
from vae.data.dataset import DataSet
from vae.evaluation.encoding import encode
from vae.evaluation.scores import Latent
from vae.networks.autoencoder import AutoEncoder

__all__ = ["draw_latents", "latent_directions", "latent_labels"]

_NUM_IMAGES = 4
_WALK = WalkSettings(extent=2.5, num_steps=9, batch_size=64)


def draw_latents(
    folder: Path, model: AutoEncoder, data: DataSet, latents: Sequence[Latent], *, seed: int, title: str
) -> list[Path]:
    """Draw traversals of the live ones among `latents` into the run folder; return the files, none if none is live.

    Raises:
        RunFolderError: a file cannot be written.
    """
    latents = [latent for latent in latents if latent.live]
    if not latents:
        return []
    device = next(model.parameters()).device
    indices = data.sample(_NUM_IMAGES, np.random.default_rng(seed))
    codes = torch.from_numpy(encode(model, data, indices)[0]).to(device)
    directions = latent_directions(model.num_latents, latents)
    directions.save(folder / "directions.safetensors")

    def generate(codes: Tensor) -> Tensor:
        return model.decode(codes).sigmoid() * 2 - 1

    with torch.inference_mode(), ProgressReporter("pictures") as progress:
        written = write_gallery(
            folder,
            generate,
            codes,
            directions,
            latent_labels(latents),
            [f"image {index}" for index in indices],
            walk=_WALK,
            text=PageText(title=title),
            progress=progress,
        )
        frames = traverse_all(
            generate, codes[:1], directions, extent=_WALK.extent, num_steps=_WALK.num_steps, batch_size=64
        )
    gif = write_animation(folder / "traversals" / "latents.gif", frames[:, 0], _WALK.values, title="All live latents")
    return [folder / "directions.safetensors", *written, gif]


def latent_directions(num_latents: int, latents: Sequence[Latent]) -> Directions:
    """Return the latents as directions: direction i moves latent `latents[i].index` by 1."""
    axes = torch.eye(num_latents)[[latent.index for latent in latents]]
    return Directions(
        vectors=axes,
        dual_vectors=axes.clone(),
        mean=torch.zeros(num_latents),
        span=torch.eye(num_latents),
        scales=torch.ones(num_latents),
        metadata={
            "method": "latents of an autoencoder",
            "latent": [latent.index for latent in latents],
            "kl": [latent.kl for latent in latents],
            "factor": [latent.factor for latent in latents],
        },
    )


def latent_labels(latents: Sequence[Latent]) -> list[DirectionLabel]:
    """Return the labels of the directions: each latent's index, KL divergence, factor and share of its entropy."""
    labels = []
    for place, latent in enumerate(latents):
        scores = {"KL": latent.kl}
        name = f"Latent {latent.index}"
        if latent.factor is not None and latent.live:
            name += f" ({latent.factor})"
            scores["entropy_share"] = latent.shares[latent.factor]
        labels.append(DirectionLabel(index=place, name=name, scores=scores))
    return labels
