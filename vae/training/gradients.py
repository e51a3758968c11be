"""The gradient of a step, from its terms, with TopDis kept from working against others (Balabin et al. 2024).

    none            grad(reconstruction + penalty + topdis)
    reconstruction  grad(reconstruction) + grad(penalty) + g,  g = grad(topdis) made not to work against the first
    all             grad(reconstruction + penalty) + g,        g likewise against the sum

Nothing is differentiated twice: where the terms need not be told apart, their sum is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.latent.gradients import orthogonalize_gradient
from vae.topdis.settings import Orthogonalization

__all__ = ["step_gradient"]


def step_gradient(
    parameters: Sequence[Tensor],
    *,
    reconstruction: Tensor,
    penalty: Tensor,
    topdis: Tensor | None,
    orthogonalize: Orthogonalization,
) -> list[Tensor]:
    """The gradient by `parameters`, of their shapes; the arguments are scalars, already weighted.

    Raises:
        TopdisError: it is not finite; the message names the term.
    """
    if topdis is None:
        return _checked({"reconstruction + penalty": _gradient(reconstruction + penalty, parameters)})
    if orthogonalize == "none":
        whole = _gradient(reconstruction + penalty + topdis, parameters)
        return _checked({"reconstruction + penalty + topdis": whole})
    if orthogonalize == "all":
        others = {"reconstruction + penalty": _gradient(reconstruction + penalty, parameters, keep=True)}
    else:
        first = _gradient(reconstruction, parameters, keep=True)
        others = {"reconstruction": first, "penalty": _gradient(penalty, parameters, keep=True)}
    own = _gradient(topdis, parameters)
    reference = next(iter(others.values()))
    return _checked({**others, "topdis": orthogonalize_gradient(own, reference)})


def _gradient(loss: Tensor, parameters: Sequence[Tensor], *, keep: bool = False) -> list[Tensor]:
    found = torch.autograd.grad(loss, parameters, retain_graph=keep, allow_unused=True)
    return [torch.zeros_like(own) if part is None else part for part, own in zip(found, parameters, strict=True)]


def _checked(parts: dict[str, list[Tensor]]) -> list[Tensor]:
    """The sum of the parts, finite. The first part that is not is blamed: topdis is made from those before it."""
    total, *rest = parts.values()
    for part in rest:
        total = list(torch._foreach_add(total, part))
    if not torch.isfinite(torch.stack(torch._foreach_norm(total)).sum()):
        blamed = [name for name, part in parts.items() if not all(torch.isfinite(g).all() for g in part)]
        raise TopdisError(f"the gradient of {blamed[0] if blamed else 'the sum'} is not finite")
    return total
