"""StyleGAN2 generators in plain torch, on any machine, from any of the usual files of weights.

Names are imported on first use, so that the command line answers `--help` without loading torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stylegan2.checkpoints.native import save
    from stylegan2.config import GeneratorConfig
    from stylegan2.generator import Generator
    from stylegan2.loading import load

__all__ = ["Generator", "GeneratorConfig", "load", "save"]

_MODULES = {"Generator": "generator", "GeneratorConfig": "config", "load": "loading", "save": "checkpoints.native"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
