"""TopDis: shift a batch along a direction and ask that its features keep their topology (Balabin et al. 2024).

    L(V) = mean over directions i of TopDis(f(c), f(c shifted along v_i)),

with c a batch of codes, f the generator's features and TopDis the loss of `topology.RTDLoss`. With `per_effect`
each term is divided by the effect of its shift, the mean distance that features move over the mean distance of
two random codes': topology broken per change made. The paper shows the search on StyleGAN by pictures only;
span, shift in standard deviations and normalisation are this project's.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ganspace_topdis.discovery.methods.base import Objective
from ganspace_topdis.discovery.objective import mean_distance_apart, shift_codes
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.discovery.span import Span
from ganspace_topdis.generators import Generate
from ganspace_topdis.topology import RTDLoss, rtd_lite

__all__ = ["TopDis"]

_FEWEST_ROWS = 4
"""With fewer rows left after a shift, two clouds say nothing about topology."""


class TopDis(Objective):
    """One part a direction; see `Objective`."""

    def __init__(self, outputs: Generate, span: Span, settings: DiscoverySettings) -> None:
        super().__init__(outputs, span, settings)
        self.divergence: Callable[[Tensor, Tensor], Tensor] = rtd_lite
        if settings.divergence == "rtd":
            self.divergence = RTDLoss(p=settings.p, variant=settings.variant)

    def losses(self, rotation: Tensor, codes: Tensor, shift: float, rng: torch.Generator) -> Iterator[Tensor]:
        """The divergence between the features before and after a shift along each direction that is drawn."""
        settings = self.settings
        with torch.no_grad():
            before = self.outputs(codes).flatten(1)
        apart = mean_distance_apart(before)
        chosen = torch.randperm(len(rotation), generator=rng)[: settings.directions_per_step].tolist()
        signs = torch.randint(2, (len(chosen),), generator=rng).tolist()
        for index, sign in zip(chosen, signs, strict=True):
            amount = shift if sign else -shift
            shifted = shift_codes(self.span, rotation[index], codes, amount, settings.shift_kind)
            if len(shifted.codes) < _FEWEST_ROWS:
                continue
            after = self.outputs(shifted.codes).flatten(1)
            loss = self.divergence(before[shifted.kept], after)
            if settings.per_effect:
                moved = (after - before[shifted.kept]).norm(dim=1).mean()
                loss = loss * apart / moved.clamp(min=torch.finfo(moved.dtype).tiny)
            yield loss
