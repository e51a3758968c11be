"""Training: `train(TrainSettings(...), "runs/x")`, `load_trained("runs/x")`."""

from vae.settings import ExecutionOptions, TrainSettings
from vae.training.loop import Training
from vae.training.run import TrainedModel, load_trained, train

__all__ = ["ExecutionOptions", "TrainSettings", "TrainedModel", "Training", "load_trained", "train"]
