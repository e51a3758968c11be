"""Reader for NVIDIA's TensorFlow 1 pickles (stylegan2 and stylegan2-ada), configurations b to f, without TensorFlow.

The file is a pickle of three networks (G, D, Gs); Gs is the averaged generator. A network is an inert record of its
variables (NumPy arrays), its settings, and source text, which the original reader executes and this one ignores.
Dense weights are transposed, kernels are HWIO, kernels of upsampling convolutions are rotated by 180 degrees, and the
style's bias lacks the 1. Configurations b to d have one image layer per resolution, for progressive growing; the last
one is used. The first release joins the class embedding to z and normalizes both together.
"""

import re
from collections.abc import Iterator
from typing import Any

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.safe_pickle.records import Budget, Record, damaged, printable
from ganspace_topdis.safe_pickle.safe_globals import array_of
from stylegan2.checkpoints.key_mapping import (
    DROPPED,
    GeneratorWeights,
    Target,
    as_scalar,
    as_vector,
    conv_layer,
    convert,
    fill_missing,
    from_hwio,
    from_hwio_flipped,
    label_weight,
    noise_map,
    plus_one,
    transposed,
    unchanged,
    without_first_axis,
)
from stylegan2.config import ACTIVATIONS
from stylegan2.mapping import MAPPING_LR_MULTIPLIER

__all__ = ["is_network", "read_nvidia_tf"]

FORMAT = "NVIDIA TensorFlow 1 pickle"
NETWORK = "dnnlib.tflib.network.Network"
FIRST_VERSION = 4
DEFAULT_TAPS = (1, 3, 3, 1)
_NONLINEARITIES = {"nonlinearity": "activation", "mapping_nonlinearity": "mapping_activation"}

_BLOCK = re.compile(r"synthesis/(\d{1,4})x\1/(Const|Conv|Conv0_up|Conv1|ToRGB|Skip)/(\w+)")
_NOISE = re.compile(r"synthesis/noise(\d{1,2})")
_DENSE = re.compile(r"mapping/Dense(\d{1,2})/(weight|bias)")
_LAST_IMAGE = re.compile(r"synthesis/ToRGB_lod(\d{1,2})/(\w+)")
_PLACES = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb", "Skip": "skip"}
_PARTS: dict[str, Target] = {
    "weight": ("weight", from_hwio),
    "bias": ("bias", as_vector),
    "mod_weight": ("affine.weight", transposed),
    "mod_bias": ("affine.bias", plus_one),
    "noise_strength": ("noise_strength", as_scalar),
}


def is_network(value: Any) -> bool:
    """Whether `value` stands for a network in such a file."""
    return isinstance(value, Record) and value.name.endswith(NETWORK) and isinstance(value.state, Record)


def read_nvidia_tf(network: Record, budget: Budget) -> GeneratorWeights:
    """Return the generator that `network`, the third in the file, describes.

    Raises:
        CheckpointError: the network is a StyleGAN1, is damaged, or has unsupported settings.
    """
    settings = _settings(network)
    variables = list(_variables(network, budget))
    _refuse_other_networks(network.state, variables, settings)
    top = max((int(match[1]) for name, _ in variables if (match := _BLOCK.fullmatch(name))), default=0)
    state = convert(variables, lambda name: _rename(name, top), FORMAT, budget)
    joint = "mapping.embed.weight" in state and "mapping.embed.bias" not in state
    if joint:
        state["mapping.embed.bias"] = state["mapping.embed.weight"].new_zeros(len(state["mapping.embed.weight"]))
    rate = settings.get("mapping_lrmul", MAPPING_LR_MULTIPLIER)
    for name in state:
        if name.startswith("mapping.fc"):
            state[name] *= float(rate) / MAPPING_LR_MULTIPLIER
    return GeneratorWeights(FORMAT, state, _overrides(settings, joint=joint), fill_missing(state))


def _settings(network: Record) -> dict[str, Any]:
    """Return the keyword arguments that the networks were built with. The parent's take precedence."""
    merged: dict[str, Any] = {}
    for part in (*_components(network).values(), network):
        merged.update(part.state.get("static_kwargs", Record()))
    return merged


def _components(network: Record) -> dict[str, Record]:
    components = network.state.get("components", Record())
    found = {name: components.get(name) for name in ("mapping", "synthesis")}
    if not all(map(is_network, found.values())):
        raise damaged("the generator has no mapping or no synthesis network")
    return found


def _variables(network: Record, budget: Budget) -> Iterator[tuple[str, Any]]:
    parts = {"": network, **{f"{name}/": part for name, part in _components(network).items()}}
    for prefix, part in parts.items():
        entries = part.state.get("variables", ())
        budget.spend_elements(len(entries))
        for name, value in entries:
            yield f"{prefix}{name if isinstance(name, str) else ''}", array_of(value, budget)


def _refuse_other_networks(state: Record, variables: list[tuple[str, Any]], settings: dict[str, Any]) -> None:
    names = {name for name, _ in variables}
    version = state.get("version")
    if (type(version) is int and version < FIRST_VERSION) or any("/StyleMod/" in name for name in names):
        raise CheckpointError(
            "this is a StyleGAN1 network, which normalizes its activations; only StyleGAN2 generators are supported"
        )
    for setting in _NONLINEARITIES:
        act = settings.get(setting, "lrelu")
        if not isinstance(act, str) or act not in ACTIVATIONS:
            raise CheckpointError(f"its {setting} is {printable(act)}; only {', '.join(ACTIVATIONS)} are supported")
    if settings.get("normalize_latents", True) is not True:
        raise CheckpointError("it does not normalize z, which is not supported")


def _rename(name: str, top: int) -> Target | None:
    """Return the target of a variable in a network whose highest resolution is `top`."""
    if name == "dlatent_avg":
        return "mapping.w_avg", unchanged
    if name in ("lod", "synthesis/lod"):
        return DROPPED
    if match := _DENSE.fullmatch(name):
        return f"mapping.fc{match[1]}.{match[2]}", transposed if match[2] == "weight" else as_vector
    if name.startswith("mapping/Label"):
        return _LABELS.get(name)
    if match := _NOISE.fullmatch(name):
        return f"{conv_layer(int(match[1]))}.noise_const", noise_map
    if match := _LAST_IMAGE.fullmatch(name):
        part = _PARTS.get(match[2])
        return None if part is None else (f"synthesis.b{top}.torgb.{part[0]}", part[1]) if match[1] == "0" else DROPPED
    if match := _BLOCK.fullmatch(name):
        return _rename_part(int(match[1]), match[2], match[3])
    return None


_LABELS: dict[str, Target] = {
    "mapping/LabelConcat/weight": ("mapping.embed.weight", label_weight),
    "mapping/LabelEmbed/weight": ("mapping.embed.weight", transposed),
    "mapping/LabelEmbed/bias": ("mapping.embed.bias", as_vector),
}


def _rename_part(side: int, place: str, part: str) -> Target | None:
    if (place, part) == ("Const", "const"):
        return f"synthesis.b{side}.const", without_first_axis
    if place not in _PLACES or part not in _PARTS:
        return None
    name, change = _PARTS[part]
    if part == "weight" and place in ("Conv0_up", "Skip"):
        change = from_hwio_flipped
    return f"synthesis.b{side}.{_PLACES[place]}.{name}", change


def _overrides(settings: dict[str, Any], *, joint: bool) -> dict[str, Any]:
    """Return what tensor shapes do not determine: activations, clamp, precision, filter, how classes are normalized."""
    overrides: dict[str, Any] = {"joint_normalization": joint}
    overrides |= {field: settings[name] for name, field in _NONLINEARITIES.items() if name in settings}
    clamp = settings.get("conv_clamp")
    overrides["conv_clamp"] = float(clamp) if isinstance(clamp, int | float) else None
    half = settings.get("num_fp16_res", 0)
    overrides["num_fp16_res"] = half if type(half) is int and half > 0 else 0
    taps = settings.get("resample_kernel", DEFAULT_TAPS)
    plain = isinstance(taps, list | tuple) and len(taps) == len(DEFAULT_TAPS)
    if not plain or not all(isinstance(tap, int | float) for tap in taps) or not sum(taps):
        raise CheckpointError(
            "its images are resampled with a filter that does not have four taps, which is not supported"
        )
    overrides["resample_taps"] = tuple(tap / sum(taps) for tap in taps)
    return overrides
