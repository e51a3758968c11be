"""The style channels s of a synthesis network: what its affine layers make of w, as one row of numbers.

Every convolution, and every layer that reads an image, scales its input channels by a style s = A w + b. All of
them together, in the order of use, are StyleSpace (Wu et al. 2021, arXiv:2011.12799): 9088 channels for a 1024 px
generator. A synthesis that is given s instead of w leaves its affines unused.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from stylegan2.layers import FullyConnected
from stylegan2.synthesis import SynthesisNetwork

__all__ = ["StyleChannels"]


class StyleChannels:
    """The affines of a synthesis network in the order of use.

    Attributes:
        layers: for each affine the layer, 0 to num_ws - 1, whose style it reads.
        sizes: for each affine its number of channels.
    """

    def __init__(self, synthesis: SynthesisNetwork) -> None:
        found = list(_affines(synthesis))
        self._affines = [affine for affine, _ in found]
        self.layers = [layer for _, layer in found]
        self.sizes = [len(affine.bias) for affine in self._affines]

    @property
    def num_channels(self) -> int:
        """The length of a code s."""
        return sum(self.sizes)

    def of(self, ws: Tensor) -> Tensor:
        """The channels (N, num_channels) of styles ws (N, num_ws, w_dim)."""
        return torch.cat(
            [affine(ws[:, layer]) for affine, layer in zip(self._affines, self.layers, strict=True)], dim=1
        )

    @contextlib.contextmanager
    def replaced_by(self, codes: Tensor) -> Iterator[None]:
        """While the block runs, the synthesis uses the channels `codes` (N, num_channels), whatever w it gets."""
        parts = codes.split(self.sizes, dim=1)
        with contextlib.ExitStack() as stack:
            for affine, part in zip(self._affines, parts, strict=True):
                stack.callback(affine.register_forward_hook(_giving(part)).remove)
            yield


def _affines(synthesis: SynthesisNetwork) -> Iterator[tuple[FullyConnected, int]]:
    first = 0
    for resolution in synthesis.resolutions:
        block = synthesis.block(resolution)
        names = ["conv1"] if block.num_conv == 1 else ["conv0", "conv1"]
        for place, name in enumerate([*names, *(["torgb"] if block.has_image else [])]):
            affine = block.get_submodule(name).get_submodule("affine")
            assert isinstance(affine, FullyConnected)
            yield affine, first + place
        first += block.num_conv


def _giving(part: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    """A forward hook that gives out `part`."""
    return lambda module, inputs, output: part.to(output.dtype)
