"""A trained model out of its run folder."""

import os
from dataclasses import dataclass

import torch

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.folder import read_run
from ganspace_topdis.runs.trees import unflatten
from vae.networks import AutoEncoder, build_networks
from vae.training.settings import TrainSettings

__all__ = ["Trained", "load_trained"]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model in evaluation mode, without gradients; the settings it was trained with, and after how many steps."""

    model: AutoEncoder
    settings: TrainSettings
    step: int


def load_trained(run_folder: str | os.PathLike[str], device: torch.device | str = "cpu") -> Trained:
    """The model of the run in `run_folder`, as its newest checkpoint has it; the run may still be going on.

    Raises:
        CheckpointError: there are checkpoints and all are damaged.
        RunFolderError: there is no run of train-vae, or it has no checkpoint yet.
    """
    run = read_run(run_folder)
    if run.command != "train-vae":
        raise RunFolderError(f"{run.path} holds a run of `{run.command}`, not of `train-vae`; give another folder")
    settings = TrainSettings.from_config(run.config)
    checkpoint = run.checkpoints.load_newest()
    if checkpoint is None:
        raise RunFolderError(f"{run.path} has no checkpoint yet; train first: the same command goes on")
    state = unflatten(checkpoint.tensors, checkpoint.rest)
    height, width, channels = state["image_shape"]
    model = build_networks(
        settings.network,
        image_shape=(height, width, channels),
        num_latents=settings.num_latents,
        width=settings.width,
        initial_weights="torch",
    )
    model.load_state_dict(state["model"])
    return Trained(model=model.to(device).eval().requires_grad_(False), settings=settings, step=checkpoint.step)
