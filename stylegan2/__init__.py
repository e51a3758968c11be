"""StyleGAN2 generators in plain torch: the model, the readers of weight files, and the commands."""

from stylegan2.checkpoints.native import save
from stylegan2.config import GeneratorConfig
from stylegan2.generator import Generator
from stylegan2.loading import load

__all__ = ["Generator", "GeneratorConfig", "load", "save"]
