"""The training methods by name: `create_method("beta-vae", {"beta": 4.0}, spec)`.

To add one, subclass `vae.methods.method.Method`, declare its options in `vae.method_options.METHOD_OPTIONS`, and
list both under the same name.
"""

from collections.abc import Mapping
from typing import Any

from vae.method_options import METHOD_OPTIONS, complete_options
from vae.methods.dava import DAVA
from vae.methods.independence import DIPVAE1, DIPVAE2, BetaTCVAE, FactorVAE
from vae.methods.kl import AnnealedVAE, BetaVAE, ControlVAE, PlainVAE
from vae.methods.method import DataSpec, Method

__all__ = ["METHODS", "create_method"]

METHODS: dict[str, type[Method]] = {
    "vae": PlainVAE,
    "beta-vae": BetaVAE,
    "annealed-vae": AnnealedVAE,
    "factor-vae": FactorVAE,
    "beta-tcvae": BetaTCVAE,
    "control-vae": ControlVAE,
    "dava": DAVA,
    "dip-vae-1": DIPVAE1,
    "dip-vae-2": DIPVAE2,
}


def create_method(name: str, options: Mapping[str, Any], spec: DataSpec) -> Method:
    """Create the method called `name`.

    Args:
        name: a key of `METHODS`.
        options: its options; those not given take their defaults.
        spec: the data and the training.

    Raises:
        InvalidArgumentError: the method or an option is unknown, or a value is not allowed.
    """
    complete = complete_options(name, options)
    return METHODS[name](METHOD_OPTIONS[name](**complete), spec)
