"""Networks that resemble StyleGAN2 but have other layers. They are refused by name, with what works instead.

Each one is recognized by the names of its tensors, or by the names of its classes where a network was pickled whole.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ganspace_topdis.errors import CheckpointError

__all__ = ["UNSUPPORTED", "UnsupportedNetwork", "refuse_unsupported"]

MAX_NAME_LETTERS = 300

FROM_PYTHON = (
    "to search it, load it with its own code and pass a function from codes to images to "
    "ganspace_topdis.discover_directions (docs/other-generators.md)"
)


@dataclass(frozen=True, kw_only=True)
class UnsupportedNetwork:
    """One kind of network.

    Attributes:
        kind: the network, and how it differs from StyleGAN2.
        tensors: a regular expression; it matches somewhere in one of the tensors' names.
        classes: a regular expression; it matches the whole name of one of the classes.
        advice: what works instead.
    """

    kind: str
    tensors: str
    classes: str
    advice: str = FROM_PYTHON


UNSUPPORTED = (
    UnsupportedNetwork(
        kind="a StyleGAN-XL network, which is a StyleGAN3 with ImageNet classes",
        tensors=r"mapping\.embed_proj\.",
        classes=r"SuperresGenerator",
    ),
    UnsupportedNetwork(
        kind="an EG3D network, which renders volumes",
        tensors=r"backbone\.synthesis\.|superresolution\.",
        classes=r"TriPlaneGenerator",
        advice=f"fix the camera, then {FROM_PYTHON.removeprefix('to search it, ')}",
    ),
    UnsupportedNetwork(
        kind="a StyleGAN3 network, which has no noise and other layers",
        tensors=r"synthesis\.(input\.|L0_)",
        classes=r"SynthesisInput",
        advice=f"train it with --cfg=stylegan2, which is supported; {FROM_PYTHON}",
    ),
    UnsupportedNetwork(
        kind="a FastGAN network, the default generator of Projected GAN",
        tensors=r"synthesis\.(feat_8|se_64|init\.init)\.",
        classes=r"FastganSynthesis(Cond)?",
        advice=f"Projected GAN's --cfg=stylegan2 is supported; {FROM_PYTHON}",
    ),
    UnsupportedNetwork(
        kind="a SWAGAN network, which generates wavelet coefficients",
        tensors=r"(^|\.)(iwt|dwt)\.",
        classes=r"InverseHaarTransform",
    ),
    UnsupportedNetwork(
        kind="a StyleGAN1 network, which normalizes its activations",
        tensors=r"(^|\.)(progression|noise_injector1)\.|apply_noise\.",
        classes=r"StyledConvBlock",
    ),
    UnsupportedNetwork(
        kind="a network of lucidrains/stylegan2-pytorch, which has other layers",
        tensors=r"to_style1\.|initial_block",
        classes=r"RGBBlock",
    ),
    UnsupportedNetwork(
        kind="a GFPGAN network, which restores a given face",
        tensors=r"stylegan_decoder\.",
        classes=r"GFPGANv1(Clean)?",
        advice="give the StyleGAN2 generator that it was trained from",
    ),
    UnsupportedNetwork(
        kind="GFPGAN's clean StyleGAN2, whose layers scale their weights differently",
        tensors=r"style_conv(1|s\.\d+)\.bias",
        classes=r"StyleGAN2GeneratorClean(SFT)?",
        advice="give the StyleGAN2 generator that it was converted from",
    ),
)


def refuse_unsupported(tensors: Iterable[Any], classes: Iterable[str] = ()) -> None:
    """Raise if the names of `tensors` or of `classes` belong to an unsupported network.

    Raises:
        CheckpointError: they do; the message names the network and what works instead.
    """
    texts = [name for name in tensors if isinstance(name, str) and len(name) < MAX_NAME_LETTERS]
    for network in UNSUPPORTED:
        of_tensors, of_classes = re.compile(network.tensors), re.compile(network.classes)
        if any(map(of_tensors.search, texts)) or any(map(of_classes.fullmatch, classes)):
            raise CheckpointError(f"this is {network.kind}; only StyleGAN2 generators are supported; {network.advice}")
