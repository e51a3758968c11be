"""StyleGAN2 generators in plain torch, on any machine, from any of the usual files of weights.

Names are imported on first use, so that the command line answers `--help` without loading torch.
"""

from typing import TYPE_CHECKING

from ganspace_topdis.lazy import import_on_first_use

if TYPE_CHECKING:
    from stylegan2.config import GeneratorConfig
    from stylegan2.conversion import save
    from stylegan2.generator import Generator
    from stylegan2.loading import load

__all__ = ["Generator", "GeneratorConfig", "load", "save"]

__getattr__, __dir__ = import_on_first_use(
    __name__, {"Generator": "generator", "GeneratorConfig": "config", "load": "loading", "save": "conversion"}
)
