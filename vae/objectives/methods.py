"""The methods by name: `create_objective("beta-vae", {"beta": 4.0}, problem)`."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from vae.objectives.annealed_vae import AnnealedVAE
from vae.objectives.beta_tcvae import BetaTCVAE
from vae.objectives.beta_vae import BetaVAE, PlainVAE
from vae.objectives.control_vae import ControlVAE
from vae.objectives.dava import DAVA
from vae.objectives.dip_vae import DIPVAE1, DIPVAE2
from vae.objectives.factor_vae import FactorVAE
from vae.objectives.objective import Objective, Problem

__all__ = ["METHODS", "complete_options", "create_objective"]

METHODS: dict[str, type[Objective]] = {
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


def complete_options(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of `method`: those given, checked, and the defaults of the rest.

    Raises:
        InvalidArgumentError: the method or an option is unknown, or an option's value is not allowed.

    >>> complete_options("beta-vae", {"beta": 6.0})
    {'beta': 6.0}
    """
    if method not in METHODS:
        raise InvalidArgumentError(f"method is {method!r}, allowed are {', '.join(METHODS)}")
    kind = METHODS[method].Options
    known = [field.name for field in dataclasses.fields(kind)]
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"; the nearest one is {nearest[0]}" if nearest else ""
            raise InvalidArgumentError(
                f"option {name!r} is not one of {method}, which has {', '.join(known) or 'none'}{hint}"
            )
    return dataclasses.asdict(kind(**given))


def create_objective(method: str, options: Mapping[str, Any], problem: Problem) -> Objective:
    """The objective of `method`; see `complete_options`."""
    kind = METHODS[method]
    return kind(kind.Options(**complete_options(method, options)), problem)
