"""Directions that a network can tell apart (Voynov and Babenko 2020, arXiv:2002.03754).

A small network R sees the output before and after a shift a v_k and says which direction k and how far a it was;
R and the orthonormal V are trained together on their Eq. 2,

    cross-entropy(k) + lambda |a - a_R|,        lambda = 0.25.

Theirs are shifts uniform in [-6, 6] with the short ones lengthened to 0.5 in a Gaussian z; here |a| is uniform in
[shift / 4, 2 shift], in standard deviations of the code.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.discovery.methods.base import Objective
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.discovery.span import Span
from ganspace_topdis.evaluation.encoders import pooled, small_encoder
from ganspace_topdis.generators import Generate

__all__ = ["Reconstructor"]

_SHIFT_WEIGHT = 0.25
_NEAREST, _FARTHEST = 0.25, 2.0
_WIDTH = 16


class Reconstructor(Objective):
    """One part; see `Objective`. Its own parameters are those of R."""

    own_learning_rate = 3e-3

    def __init__(self, outputs: Generate, span: Span, settings: DiscoverySettings) -> None:
        super().__init__(outputs, span, settings)
        with torch.no_grad():
            sample = _as_images(outputs(span.mean[None]))
        channels, side = sample.shape[1], sample.shape[-1]
        network = small_encoder(2 * channels, span.size + 1, side, _WIDTH, settings.seed)
        self.network = network.to(sample.device)

    def losses(self, rotation: Tensor, codes: Tensor, shift: float, rng: torch.Generator) -> Iterator[Tensor]:
        """How badly R names the directions and amounts of one shift of every code."""
        labels = torch.randint(len(rotation), (len(codes),), generator=rng)
        signs = torch.randint(2, (len(codes),), generator=rng) * 2 - 1
        lengths = _NEAREST + (_FARTHEST - _NEAREST) * torch.rand(len(codes), generator=rng)
        labels, amounts = labels.to(codes.device), (signs * lengths).to(codes)
        moved = codes + shift * amounts[:, None] * (rotation[labels] @ self.span.axes)
        with torch.no_grad():
            before = _as_images(self.outputs(codes))
        after = _as_images(self.outputs(moved))
        answers = self.network(torch.cat([before, after - before], dim=1))
        named, measured = answers[:, :-1], answers[:, -1]
        yield F.cross_entropy(named, labels) + _SHIFT_WEIGHT * (measured - amounts).abs().mean()


def _as_images(outputs: Tensor) -> Tensor:
    """Outputs (N, C, H, W) no larger than 32 px; plain rows (N, F) as images of one pixel."""
    return pooled(outputs) if outputs.ndim == 4 else outputs.flatten(1)[:, :, None, None]
