"""Directions that need no search: the baselines of `discovery.baselines` on a generator, by name."""

from typing import Literal, get_args

import torch
from torch import Tensor

from ganspace_topdis.discovery.baselines import coordinate_axes, ganspace, ganspace_of_features, ica, sefa
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from stylegan2.space import LatentSpace

__all__ = ["CLOSED_FORMS", "ClosedForm", "closed_form", "style_weights"]

ClosedForm = Literal["random", "span-axes", "ganspace", "ganspace-features", "ica", "sefa", "axes"]
CLOSED_FORMS: tuple[ClosedForm, ...] = get_args(ClosedForm)


def closed_form(name: ClosedForm, search: Discovery, space: LatentSpace) -> Directions:
    """The directions `name`, as many as `search` looks for, in their own order."""
    if name == "random":
        return search.directions(search.random_rotation)
    if name == "span-axes":
        return search.directions(search.span.start)
    settings = search.settings
    codes = space.sample_codes(settings.num_span_codes, torch.Generator().manual_seed(settings.seed))
    if name == "ganspace":
        return ganspace(codes, search.span.num_directions, whitening=settings.whitening)
    if name == "ganspace-features":
        return ganspace_of_features(space.features, codes, search.span.num_directions, micro_batch=search.micro_batch)
    if name == "ica":
        return ica(codes, search.span.num_directions, whitening=settings.whitening, seed=settings.seed)
    if name == "sefa":
        return sefa(style_weights(space), codes, search.span.num_directions)
    return coordinate_axes(codes, search.span.num_directions, importance=_importance(search, space, codes))


def _importance(search: Discovery, space: LatentSpace, codes: Tensor) -> Tensor | None:
    """How far the span moves each style channel, in its standard deviations; None for other spaces."""
    if space.name != "s":
        return None
    return (search.span.axes / codes.std(0)).nan_to_num(0, 0, 0).square().sum(0)


def style_weights(space: LatentSpace) -> Tensor:
    """The weights (rows, w_dim) that read the code in the convolutions of the space's layers, stacked.

    Raises:
        InvalidArgumentError: the space's layers hold no convolution.
    """
    assert space.name == "w", "no weight reads z, and every channel of s has its own"
    convolutions = [module for name, module in space.generator.named_modules() if name.endswith(("conv0", "conv1"))]
    chosen = range(len(convolutions)) if space.layers is None else [k for k in space.layers if k < len(convolutions)]
    if not chosen:
        raise InvalidArgumentError("the chosen layers hold no convolution that reads a style; choose lower ones")
    return torch.cat([convolutions[k].get_submodule("affine").weight.detach() for k in chosen])
