"""TopDis as one more term of any VAE, and losses without topology to compare it with."""

from vae.topdis.settings import TopDisSettings
from vae.topdis.term import TopDisTerm

__all__ = ["TopDisSettings", "TopDisTerm"]
