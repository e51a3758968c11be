"""StyleGAN2 generators in plain torch, on any machine, from any of the usual files of weights."""

from stylegan2.config import GeneratorConfig
from stylegan2.generator import Generator

__all__ = ["Generator", "GeneratorConfig"]
