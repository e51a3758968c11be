"""Writes a generator as other projects store one, with their names, kernel orientation and container."""

import contextlib
import io
import itertools
import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stylegan2 import Generator

LAYER_PARTS = {
    "rosinality": {"weight": "conv.weight", "affine": "conv.modulation.", "noise": "noise.weight"},
    "basicsr": {"weight": "modulated_conv.weight", "affine": "modulated_conv.modulation.", "noise": "weight"},
    "mmgeneration": {
        "weight": "conv.weight_orig",
        "affine": "conv.style_modulation.",
        "noise": "noise_injector.weight",
    },
}
NAMES = {
    "rosinality": {"const": "input.input", "map": "style", "noise": "noises.noise_", "conv": "conv"},
    "basicsr": {"const": "constant_input.weight", "map": "style_mlp", "noise": "noises.noise", "conv": "style_conv"},
    "mmgeneration": {
        "const": "constant_input.input",
        "map": "style_mapping",
        "noise": "injected_noise_",
        "conv": "conv",
    },
}


def layers(generator: Generator) -> list[tuple[int, str]]:
    """All convolutions as (number, NVIDIA's name)."""
    names = [f"synthesis.b{side}.conv{index}" for side in generator.config.resolutions for index in (0, 1)][1:]
    return list(enumerate(names))


def flat_tensors(generator: Generator, kind: str) -> dict[str, Tensor]:
    """The tensors in the layout of rosinality, BasicSR or MMGeneration."""
    state, names, parts = generator.state_dict(), NAMES[kind], LAYER_PARTS[kind]
    linear = "linear.weight_orig" if kind == "mmgeneration" else "weight"
    found = {names["const"]: state["synthesis.b4.const"][None]}
    for index in range(generator.config.num_mapping_layers):
        found[f"{names['map']}.{index + 1}.{linear}"] = state[f"mapping.fc{index}.weight"]
        found[f"{names['map']}.{index + 1}.bias"] = state[f"mapping.fc{index}.bias"]
    images = [f"synthesis.b{side}.torgb" for side in generator.config.resolutions]
    places = {name: f"{names['conv']}1" if n == 0 else f"{names['conv']}s.{n - 1}" for n, name in layers(generator)}
    places |= {name: "to_rgb1" if n == 0 else f"to_rgbs.{n - 1}" for n, name in enumerate(images)}
    for source, target in places.items():
        found[f"{target}.{parts['weight']}"] = state[f"{source}.weight"][None]
        found[f"{target}.{parts['affine']}{linear}"] = state[f"{source}.affine.weight"]
        found[f"{target}.{parts['affine']}bias"] = state[f"{source}.affine.bias"]
        if source.endswith("torgb"):
            found[f"{target}.bias"] = state[f"{source}.bias"].reshape(1, -1, 1, 1)
        else:
            found[f"{target}.activate.bias"] = state[f"{source}.bias"]
            found[f"{target}.{parts['noise']}"] = state[f"{source}.noise_strength"].reshape(1)
        if kind != "basicsr" and source.endswith("conv0"):
            found[f"{target}.conv.blur.kernel"] = 4 * state[f"{source}.resample_filter"]
    for index, name in layers(generator):
        found[f"{names['noise']}{index}"] = state[f"{name}.noise_const"][None, None]
    return found


def genforce_tensors(generator: Generator) -> dict[str, Tensor]:
    """The tensors of genforce's layout."""
    state = generator.state_dict()
    found = {
        "synthesis.early_layer.const": state["synthesis.b4.const"][None],
        "truncation.w_avg": state["mapping.w_avg"],
    }
    for index in range(generator.config.num_mapping_layers):
        for part in ("weight", "bias"):
            found[f"mapping.dense{index}.{part}"] = state[f"mapping.fc{index}.{part}"]
    if generator.c_dim:
        found["mapping.label_weight"] = state["mapping.embed.weight"].t() / generator.c_dim**0.5
    images = [(n, f"synthesis.b{side}.torgb") for n, side in enumerate(generator.config.resolutions)]
    sources = [(f"layer{n}", name) for n, name in layers(generator)]
    sources += [(f"output{n}", name) for n, name in images if f"{name}.weight" in state]
    for target, source in sources:
        weight = state[f"{source}.weight"]
        found[f"synthesis.{target}.weight"] = weight.flip(2, 3) if source.endswith("conv0") else weight
        found[f"synthesis.{target}.bias"] = state[f"{source}.bias"]
        found[f"synthesis.{target}.style.weight"] = state[f"{source}.affine.weight"]
        found[f"synthesis.{target}.style.bias"] = state[f"{source}.affine.bias"] - 1
        if target.startswith("layer"):
            found[f"synthesis.{target}.noise"] = state[f"{source}.noise_const"][None, None]
            found[f"synthesis.{target}.noise_strength"] = state[f"{source}.noise_strength"]
        if source.endswith("conv0"):
            found[f"synthesis.{target}.filter.kernel"] = 4 * state[f"{source}.resample_filter"][None, None]
    return found


class Network:
    """Stands for dnnlib.tflib.network.Network."""

    __module__ = "dnnlib.tflib.network"

    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)


@contextlib.contextmanager
def tensorflow_modules() -> Iterator[None]:
    """Within the block, the pickler finds the module of `Network`."""
    names = ("dnnlib", "dnnlib.tflib", "dnnlib.tflib.network")
    for name in names:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["dnnlib.tflib.network"].__dict__["Network"] = Network
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def tensorflow_variables(
    generator: Generator, *, labels: str = "embed", progressive: bool = False
) -> dict[str, np.ndarray]:
    """The variables of a TensorFlow network; `labels` "embed" or "concat", `progressive` as configurations b to d."""
    state = {name: tensor.numpy() for name, tensor in generator.state_dict().items()}
    found = {"dlatent_avg": state["mapping.w_avg"], "lod": np.float32(0)}
    for index in range(generator.config.num_mapping_layers):
        found[f"mapping/Dense{index}/weight"] = state[f"mapping.fc{index}.weight"].T
        found[f"mapping/Dense{index}/bias"] = state[f"mapping.fc{index}.bias"]
    if generator.c_dim and labels == "embed":
        found["mapping/LabelEmbed/weight"] = state["mapping.embed.weight"].T
        found["mapping/LabelEmbed/bias"] = state["mapping.embed.bias"]
    elif generator.c_dim:
        found["mapping/LabelConcat/weight"] = state["mapping.embed.weight"].T / np.sqrt(generator.c_dim)
    found["synthesis/4x4/Const/const"] = state["synthesis.b4.const"][None]
    for index, name in layers(generator):
        found[f"synthesis/noise{index}"] = state[f"{name}.noise_const"][None, None]
    for side in generator.config.resolutions:
        for ours, theirs in {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB", "skip": "Skip"}.items():
            source = f"synthesis.b{side}.{ours}"
            if f"{source}.weight" not in state:
                continue
            target = f"synthesis/{side}x{side}/{'Conv' if side == 4 and ours == 'conv1' else theirs}"
            if progressive and ours == "torgb":
                target = "synthesis/ToRGB_lod0"
            weight = state[f"{source}.weight"]
            weight = weight[:, :, ::-1, ::-1] if ours in ("conv0", "skip") else weight
            found[f"{target}/weight"] = weight.transpose(2, 3, 1, 0)
            if ours == "skip":
                continue
            found[f"{target}/bias"] = state[f"{source}.bias"]
            found[f"{target}/mod_weight"] = state[f"{source}.affine.weight"].T
            found[f"{target}/mod_bias"] = state[f"{source}.affine.bias"] - 1
            if ours != "torgb":
                found[f"{target}/noise_strength"] = state[f"{source}.noise_strength"][()]
    if progressive:
        found["synthesis/lod"] = np.float32(0)
        found["synthesis/ToRGB_lod1/weight"] = np.zeros((1, 1, 3, 3), np.float32)
    return found


def tensorflow_bytes(
    generator: Generator,
    *,
    protocol: int = 4,
    version: int = 4,
    settings: dict[str, Any] | None = None,
    **kind: Any,
) -> bytes:
    """A pickle of (G, D, Gs) with `generator` as Gs."""
    variables = tensorflow_variables(generator, **kind)
    parts = {}
    for name in ("mapping", "synthesis"):
        own = [(key.removeprefix(f"{name}/"), value) for key, value in variables.items() if key.startswith(f"{name}/")]
        parts[name] = Network(version=version, name=name, static_kwargs={}, components={}, variables=own)
    own = [(key, value) for key, value in variables.items() if "/" not in key]
    source = "raise SystemExit('the source text in a checkpoint was run')"
    root = Network(
        version=version,
        name="Gs",
        static_kwargs={"resolution": generator.img_resolution, **(settings or {})},
        components=parts,
        variables=own,
        build_module_src=source,
        build_func_name="G_main",
    )
    with tensorflow_modules():
        return pickle.dumps((Network(version=version), Network(version=version), root), protocol=protocol)


def module_tree(tensors: Mapping[str, Tensor], name: str, **children: str) -> nn.Module:
    """A network whose state dict is `tensors`, of modules of class `name`, or of the classes in `children`."""
    root = _module(name)
    for key, value in tensors.items():
        *path, last = key.split(".")
        module = root
        for part in path:
            if part not in module._modules:
                module.add_module(part, _module(children.get(part, name)))
            module = module._modules[part]
        module.register_buffer(last, value) if "kernel" in last else setattr(module, last, nn.Parameter(value))
    return root


def _module(name: str) -> nn.Module:
    """A module of a made-up class, "package.module.Class"."""
    place, _, class_name = name.rpartition(".")
    return type(class_name, (nn.Module,), {"__module__": place})().eval()


@contextlib.contextmanager
def importable(root: nn.Module) -> Iterator[None]:
    """Within the block, the pickler finds the classes of all modules below `root`."""
    made = {}
    for module in root.modules():
        place = type(module).__module__
        for parent in itertools.accumulate(place.split("."), "{}.{}".format):
            if parent not in sys.modules:
                made[parent] = sys.modules[parent] = types.ModuleType(parent)
        if place in made:  # instances of equally named classes are of the last one of that name
            module.__class__ = made[place].__dict__.setdefault(type(module).__name__, type(module))
    try:
        yield
    finally:
        for place in made:
            del sys.modules[place]


def torch_bytes(content: Any, *, legacy: bool = False) -> bytes:
    """The bytes that `torch.save` writes, in its current container or the one before 1.6."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()
