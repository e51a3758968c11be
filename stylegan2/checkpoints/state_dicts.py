"""Readers for state dicts of other projects: rosinality, BasicSR, MMGeneration and genforce.

Rosinality's naming has three variations. The first layers have names of their own and all others are in two lists:
`conv1`, `convs.0`, `convs.1`, ... are the convolutions, `to_rgb1`, `to_rgbs.0`, ... the image layers, and `style.1`,
`style.2`, ... the mapping layers (0 is the normalization). Kernels have a leading axis of 1 and the orientation of
NVIDIA's PyTorch code; the style's bias includes the 1. The name of the learned constant differs between all layouts.

genforce keeps the TensorFlow weights under its own names: the style's bias lacks the 1, kernels of upsampling
convolutions are rotated by 180 degrees, and class embeddings are joined to z before the normalization.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ganspace_topdis.safe_pickle.records import Budget, Record, TensorRef, damaged, to_tensor
from stylegan2.checkpoints.key_mapping import (
    DROPPED,
    GeneratorWeights,
    Target,
    as_scalar,
    as_vector,
    conv_layer,
    convert,
    fill_missing,
    flipped,
    image_layer,
    label_weight,
    noise_map,
    normalized_filter,
    plus_one,
    unchanged,
    without_first_axis,
)

__all__ = [
    "BASICSR",
    "GENFORCE_CONSTANT",
    "MMGENERATION",
    "ROSINALITY",
    "FlatNames",
    "read_genforce",
    "read_rosinality",
]


@dataclass(frozen=True, kw_only=True)
class FlatNames:
    """One variation of rosinality's naming.

    Attributes:
        format: the kind of file, as shown to users.
        constant: the learned constant. Its name identifies the layout.
        mapping: the name before the number of a mapping layer.
        mapping_parts: the file's and our names within a mapping layer.
        noise: the name before the number of a noise image.
        first: the convolution at 4 px.
        others: the list of the other convolutions.
        parts: the file's names within a convolution or an image layer, and their targets.
        note: a warning for users of such a file.
    """

    format: str
    constant: str
    mapping: str
    mapping_parts: Mapping[str, str]
    noise: str
    first: str
    others: str
    parts: Mapping[str, Target]
    note: str | None = None

    def read(self, tensors: Record, budget: Budget) -> GeneratorWeights:
        """Return the generator in `tensors`, with missing noise and mean style filled in.

        Raises:
            CheckpointError: a tensor is unknown or damaged.
        """
        state = self.convert(tensors, budget)
        notes = () if self.note is None else (self.note,)
        return GeneratorWeights(self.format, state, notes=(*notes, *fill_missing(state)))

    def convert(self, tensors: Record, budget: Budget) -> dict[str, Tensor]:
        """Return the tensors under NVIDIA's names, without filling in missing ones."""
        return convert(tensors.items(), self.rename, self.format, budget)

    def rename(self, name: str) -> Target | None:
        """Return the target of `name`, or None if the layout has no such name."""
        if name == self.constant:
            return "synthesis.b4.const", without_first_axis
        if match := re.fullmatch(rf"{re.escape(self.noise)}(\d{{1,2}})", name):
            return f"{conv_layer(int(match[1]))}.noise_const", noise_map
        if match := re.fullmatch(rf"{re.escape(self.mapping)}\.([1-9]\d?)\.(.+)", name):
            part = self.mapping_parts.get(match[2])
            return None if part is None else (f"mapping.fc{int(match[1]) - 1}.{part}", unchanged)
        return self._rename_layer(name)

    def _rename_layer(self, name: str) -> Target | None:
        match = re.fullmatch(rf"({self.first}|to_rgb1|{self.others}\.\d{{1,2}}|to_rgbs\.\d{{1,2}})\.(.+)", name)
        target = self.parts.get(match[2]) if match else None
        if match is None or target is None or target == DROPPED:
            return target
        return f"{self._place(match[1])}.{target[0]}", target[1]

    def _place(self, name: str) -> str:
        listed, _, number = name.rpartition(".")
        if listed == self.others:
            return conv_layer(int(number) + 1)
        if listed == "to_rgbs":
            return image_layer(int(number) + 1)
        return conv_layer(0) if name == self.first else image_layer(0)


ROSINALITY = FlatNames(
    format="rosinality",
    constant="input.input",
    mapping="style",
    mapping_parts={"weight": "weight", "bias": "bias"},
    noise="noises.noise_",
    first="conv1",
    others="convs",
    parts={
        "conv.weight": ("weight", without_first_axis),
        "conv.modulation.weight": ("affine.weight", unchanged),
        "conv.modulation.bias": ("affine.bias", unchanged),
        "conv.blur.kernel": ("resample_filter", normalized_filter),
        "noise.weight": ("noise_strength", as_scalar),
        "activate.bias": ("bias", as_vector),
        "bias": ("bias", as_vector),
        "upsample.kernel": DROPPED,
    },
)
"""`g_ema` of a converted or training file, and `decoder.` of pSp and e4e."""

BASICSR = FlatNames(
    format="BasicSR",
    constant="constant_input.weight",
    mapping="style_mlp",
    mapping_parts={"weight": "weight", "bias": "bias"},
    noise="noises.noise",
    first="style_conv1",
    others="style_convs",
    parts={
        "modulated_conv.weight": ("weight", without_first_axis),
        "modulated_conv.modulation.weight": ("affine.weight", unchanged),
        "modulated_conv.modulation.bias": ("affine.bias", unchanged),
        "weight": ("noise_strength", as_scalar),
        "activate.bias": ("bias", as_vector),
        "bias": ("bias", as_vector),
    },
)
"""`params_ema`: no filters, no mean style."""

MMGENERATION = FlatNames(
    format="MMGeneration",
    note="models trained with MMGeneration may output blue, green, red: swap the channels if colors look wrong",
    constant="constant_input.input",
    mapping="style_mapping",
    mapping_parts={"linear.weight_orig": "weight", "bias": "bias"},
    noise="injected_noise_",
    first="conv1",
    others="convs",
    parts={
        "conv.weight_orig": ("weight", without_first_axis),
        "conv.style_modulation.linear.weight_orig": ("affine.weight", unchanged),
        "conv.style_modulation.bias": ("affine.bias", unchanged),
        "conv.blur.kernel": ("resample_filter", normalized_filter),
        "noise_injector.weight": ("noise_strength", as_scalar),
        "activate.bias": ("bias", as_vector),
        "bias": ("bias", as_vector),
        "upsample.kernel": DROPPED,
    },
)
"""`state_dict` with `generator_ema.`: no mean style. Its models read pictures with OpenCV, in BGR order; no tensor
determines the order."""


def read_rosinality(tensors: Record, outer: Record, budget: Budget) -> GeneratorWeights:
    """Return the generator in `tensors`. `outer` may hold its mean style, pSp's and e4e's one per layer.

    Raises:
        CheckpointError: a tensor is unknown or damaged.
    """
    state = ROSINALITY.convert(tensors, budget)
    mean = outer.get("latent_avg")
    notes: tuple[str, ...] = ()
    if isinstance(mean, TensorRef):
        state["mapping.w_avg"], notes = _mean_style(to_tensor(mean, "latent_avg", budget))
    return GeneratorWeights(ROSINALITY.format, state, notes=(*notes, *fill_missing(state)))


def _mean_style(mean: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """Return one mean style, and a note if the file has several different ones."""
    if not mean.ndim:
        raise damaged("a mean style without axes")
    rows = mean.reshape(-1, mean.shape[-1])
    if bool((rows == rows[0]).all()):
        return rows[0].clone(), ()
    return rows.mean(dim=0), (f"the file has {len(rows)} different mean styles; their mean is used",)


GENFORCE_FORMAT = "genforce"
GENFORCE_CONSTANT = "synthesis.early_layer.const"

_MAPPING = re.compile(r"mapping\.dense(\d{1,2})\.(weight|bias)")
_LAYER = re.compile(r"synthesis\.(layer|output|skip_layer)(\d{1,2})\.(.+)")
_PARTS: dict[str, Target] = {
    "weight": ("weight", unchanged),
    "bias": ("bias", as_vector),
    "style.weight": ("affine.weight", unchanged),
    "style.bias": ("affine.bias", plus_one),
    "noise_strength": ("noise_strength", as_scalar),
    "noise": ("noise_const", noise_map),
    "filter.kernel": ("resample_filter", normalized_filter),
}


def read_genforce(tensors: Record, budget: Budget) -> GeneratorWeights:
    """Return the generator in the tensors of genforce, SeFa or InterFaceGAN (`generator_smooth`).

    Raises:
        CheckpointError: a tensor is unknown or damaged.
    """
    state = convert(tensors.items(), _rename_genforce, GENFORCE_FORMAT, budget)
    joint = "mapping.embed.weight" in state
    if joint:
        weight = state["mapping.embed.weight"]
        state["mapping.embed.bias"] = weight.new_zeros(weight.shape[0])
    return GeneratorWeights(GENFORCE_FORMAT, state, {"joint_normalization": joint}, fill_missing(state))


def _rename_genforce(name: str) -> Target | None:
    if name == GENFORCE_CONSTANT:
        return "synthesis.b4.const", without_first_axis
    if name == "truncation.w_avg":
        return "mapping.w_avg", unchanged
    if name == "mapping.label_weight":
        return "mapping.embed.weight", label_weight
    if name == "synthesis.upsample.kernel":
        return DROPPED
    if match := _MAPPING.fullmatch(name):
        return f"mapping.fc{match[1]}.{match[2]}", unchanged
    if (match := _LAYER.fullmatch(name)) and match[3] in _PARTS:
        return _rename_genforce_part(match[1], int(match[2]), match[3])
    return None


def _rename_genforce_part(kind: str, index: int, part: str) -> Target:
    target, change = _PARTS[part]
    if kind == "output":
        return f"{image_layer(index)}.{target}", change
    if kind == "skip_layer":
        return f"{conv_layer(2 * index + 1).removesuffix('conv0')}skip.{target}", change
    upsamples = index % 2 == 1
    return f"{conv_layer(index)}.{target}", flipped if upsamples and part == "weight" else change
