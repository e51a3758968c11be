"""What every method of search is: a loss of the orthonormal matrix, in parts.

A method sees the matrix V (K, M) as rows of unit vectors in the span's whitened coordinates and yields one or
more losses of it; their mean is what a step lowers. The graph of a part can be freed before the next is made,
so memory is one part's. Parameters that a method has of its own, a network to train along, move with V.
"""

import abc
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.discovery.span import Span
from ganspace_topdis.generators import Generate

__all__ = ["Objective"]


class Objective(nn.Module, abc.ABC):
    """Base of the methods.

    Args:
        outputs: codes (N, D), however many -> images or features (N, ...), differentiable.
        span: where V lives.
        settings: see `DiscoverySettings`.

    Attributes:
        own_learning_rate: of the method's own parameters, where it has any.
    """

    own_learning_rate: float = 0.0

    def __init__(self, outputs: Generate, span: Span, settings: DiscoverySettings) -> None:
        super().__init__()
        self.outputs, self.span, self.settings = outputs, span, settings

    @abc.abstractmethod
    def losses(self, rotation: Tensor, codes: Tensor, shift: float, rng: torch.Generator) -> Iterator[Tensor]:
        """The parts of one step's loss.

        Args:
            rotation: V (K, M).
            codes: (N, D), fresh.
            shift: how far codes move in this step.
            rng: for signs, choices and probes.
        """
