"""Training of disentanglement VAEs: `train(TrainSettings(...), "runs/x")`, `load_trained("runs/x")`.

Imported on first use, so that the command line can read the presets without loading torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae.training.loop import Training
    from vae.training.runner import TrainOptions, train
    from vae.training.settings import TrainSettings
    from vae.training.trained import Trained, load_trained

__all__ = ["TrainOptions", "TrainSettings", "Trained", "Training", "load_trained", "train"]

_MODULES = {
    "Training": "loop",
    "TrainSettings": "settings",
    "TrainOptions": "runner",
    "train": "runner",
    "Trained": "trained",
    "load_trained": "trained",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
