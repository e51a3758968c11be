"""Writes files like NVIDIA's PyTorch snapshots, with dummy source text.

The real pickler, tensors and parameters are used, so that the bytes match a real file. Only the two modules that such
a file names are fake, while it is written.
"""

import contextlib
import pickle
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from stylegan2 import Generator

SOURCE = "raise SystemExit('the source text in a checkpoint was run')\n" * 200


class EasyDict(dict):
    """Stands for dnnlib.util.EasyDict."""

    __module__ = "dnnlib.util"


def _reconstruct_persistent_obj(meta: dict[str, Any]) -> None:
    raise AssertionError("nothing of a checkpoint may be called")


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"


class Persistent(nn.Module):
    """A module that pickles as NVIDIA's persistent classes do."""

    def __init__(self, class_name: str, **attributes: Any) -> None:
        super().__init__()
        self.__dict__.update(attributes, _class_name=class_name, _init_args=(), _init_kwargs=EasyDict(attributes))
        self.eval()

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: value for name, value in self.__dict__.items() if name != "_class_name"}
        meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": self._class_name, "state": state}
        return _reconstruct_persistent_obj, (meta,)


@contextlib.contextmanager
def nvidia_modules() -> Iterator[None]:
    """Within the block, the pickler finds NVIDIA's modules."""
    parts = {"torch_utils": {}, "torch_utils.persistence": {"_reconstruct_persistent_obj": _reconstruct_persistent_obj}}
    parts |= {"dnnlib": {}, "dnnlib.util": {"EasyDict": EasyDict}}
    for name, contents in parts.items():
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(contents)
    try:
        yield
    finally:
        for name in parts:
            del sys.modules[name]


def persistent_tree(generator: Generator, num_fp16_res: int = 0) -> Persistent:
    """The generator as a tree of persistent modules."""
    config = generator.config
    root = Persistent("Generator", z_dim=config.z_dim, c_dim=config.c_dim, w_dim=config.w_dim)
    for key, value in generator.state_dict().items():
        *path, name = key.split(".")
        module = root
        for depth, part in enumerate(path):
            if part not in module._modules:
                module.add_module(part, _module(path[: depth + 1], config, num_fp16_res))
            module = module._modules[part]
        value = value.clone()
        if name in ("noise_const", "resample_filter", "w_avg"):
            module.register_buffer(name, value)
        else:
            module.register_parameter(name, nn.Parameter(value, requires_grad=False))
    return root


def _module(path: list[str], config: Any, num_fp16_res: int) -> Persistent:
    name = path[-1]
    if name in ("mapping", "synthesis"):
        return Persistent(f"{name.title()}Network", num_ws=config.num_ws)
    if name.startswith("fc"):
        act = config.mapping_activation
        return Persistent("FullyConnectedLayer", activation=act, weight_gain=np.float64(0.1), bias_gain=0.01)
    if name in ("affine", "embed"):
        return Persistent("FullyConnectedLayer", activation="linear", weight_gain=np.sqrt(0.5), bias_gain=1)
    if name == "torgb":
        return Persistent("ToRGBLayer", conv_clamp=config.conv_clamp, weight_gain=np.sqrt(0.5))
    if name == "skip":
        return Persistent("Conv2dLayer", conv_clamp=None, activation="linear", up=2)
    if name in ("conv0", "conv1"):
        act = config.activation
        return Persistent("SynthesisLayer", conv_clamp=config.conv_clamp, activation=act, act_gain=np.sqrt(2))
    half = int(name[1:]) * 2**num_fp16_res > config.img_resolution
    return Persistent("SynthesisBlock", use_fp16=half, architecture=config.architecture)


def snapshot_bytes(
    generator: Generator,
    *,
    layout: str = "ada",
    protocol: int = 4,
    root: nn.Module | None = None,
    num_fp16_res: int = 0,
    others: tuple[nn.Module, nn.Module] | None = None,
) -> bytes:
    """A snapshot of either repository ("ada" or "stylegan3") with `generator` as its G_ema, `others` as G and D."""
    network = persistent_tree(generator, num_fp16_res) if root is None else root
    other = Persistent("Discriminator", c_dim=0)
    other.register_parameter("weight", nn.Parameter(torch.zeros(3)))
    G, D = others or (other, other)
    contents: dict[str, Any] = {"G": G, "D": D, "G_ema": network, "augment_pipe": None}
    kwargs = {"training_set_kwargs": EasyDict(class_name="training.dataset.ImageFolderDataset", path="x.zip")}
    contents = {**kwargs, **contents} if layout == "ada" else {**contents, **kwargs}
    with nvidia_modules():
        return pickle.dumps(contents, protocol=protocol)
