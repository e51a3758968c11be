"""StyleGAN2 generators in plain torch, on any machine, from any of the usual files of weights."""

from stylegan2.checkpoints.native import save
from stylegan2.config import GeneratorConfig
from stylegan2.generator import Generator
from stylegan2.loading import load

__all__ = ["Generator", "GeneratorConfig", "load", "save"]
