"""Which generator a pickle holds, told by the names of its tensors.

It is a dictionary, at times of dictionaries, of tensors, or of networks that were pickled whole. Averaged weights
come first; then the name of the learned constant, which differs between all layouts, tells which one it is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ganspace_topdis.errors import CheckpointError
from stylegan2.checkpoints import basicsr, genforce, mmgeneration, rosinality
from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.checkpoint import Checkpoint
from stylegan2.checkpoints.genforce import read_genforce
from stylegan2.checkpoints.modules import is_module, modules_of, tensors_of
from stylegan2.checkpoints.naming import convert, same
from stylegan2.checkpoints.nvidia_torch import read_nvidia_torch
from stylegan2.checkpoints.pickle_machine import Record, damaged, is_foreign, printable
from stylegan2.checkpoints.rosinality import read_rosinality
from stylegan2.checkpoints.tensors import TensorRef

__all__ = ["read_torch_layout"]

NVIDIA_CONSTANT = "synthesis.b4.const"
CONTAINERS = ("g_ema", "G_ema", "generator_smooth", "params_ema", "state_dict", "params", "generator", "g", "G")
PREFIXES = ("", "generator_ema.", "g_ema.", "G_ema.", "decoder.", "generator.", "G.", "module.")
REFUSED = {
    "a StyleGAN-XL network, which is a StyleGAN3 with classes of ImageNet": (
        r"mapping\.embed_proj\.",
        r"SuperresGenerator",
    ),
    "an EG3D network, which renders volumes": (r"backbone\.synthesis\.|superresolution\.", r"TriPlaneGenerator"),
    "a StyleGAN3 network, which has no noise and other layers": (
        r"synthesis\.(input\.|L0_)",
        r"SynthesisInput",
    ),
    "a SWAGAN network, which makes wavelets and not pixels": (r"(^|\.)(iwt|dwt)\.", r"InverseHaarTransform"),
    "a StyleGAN1 network, which normalises its activations": (
        r"(^|\.)(progression|noise_injector1)\.|apply_noise\.",
        r"StyledConvBlock",
    ),
    "a network of lucidrains/stylegan2-pytorch, which has other layers": (r"to_style1\.|initial_block", r"RGBBlock"),
    "a GFPGAN network, which restores the faces that it is given": (r"stylegan_decoder\.", r"GFPGANv1(Clean)?"),
    "GFPGAN's clean StyleGAN2, whose layers scale their weights otherwise": (
        r"style_conv(1|s\.\d+)\.bias",
        r"StyleGAN2GeneratorClean(SFT)?",
    ),
}
"""What looks alike and is something else: a mark in the names of its tensors, and one in those of its classes."""

NO_CLAMP = "the file does not say whether activations are clamped, so none are; NVIDIA's own training clamps at 256"


@dataclass(frozen=True)
class _Table:
    """Tensors by name, and the states of the modules that hold them where a network was pickled whole."""

    tensors: Record
    states: Mapping[str, Record] | None = None
    classes: frozenset[str] = frozenset()


def read_torch_layout(content: Any, budget: Budget) -> Checkpoint:
    """The generator in what a pickle or a `torch.save` file holds.

    Raises:
        CheckpointError: no known generator is in it.
    """
    if not isinstance(content, Record):
        raise CheckpointError(f"this file holds {printable(content)} and no weights; save a generator's state dict")
    tables = []
    for table in _tables(content, budget):
        tables.append(table)
        for prefix in PREFIXES:
            read = _reader(table, prefix, content, budget)
            if read is not None:
                return read
    for table in tables:
        _refuse_relatives(table.tensors, table.classes)
    if strange := [value for value in (content, *content.values()) if is_foreign(value) and not is_module(value)]:
        raise CheckpointError(
            f"this file holds no generator but {printable(strange[0])}, which was neither imported nor run"
        )
    raise CheckpointError("this file holds no generator of a known layout; docs/checkpoints.md lists them")


def _tables(content: Record, budget: Budget) -> Iterator[_Table]:
    """The dictionaries and networks that may hold the tensors, averaged weights first."""
    outer = [content.get("models"), content]
    for place in (place for place in outer if isinstance(place, Record)):
        for name in (*CONTAINERS, "GAN"):
            inner = place.get(name)
            if isinstance(inner, Record) and is_module(inner):
                yield _table_of_network(inner, budget)
            elif isinstance(inner, Record) and not is_foreign(inner):
                yield _Table(inner)
        yield _table_of_network(place, budget) if is_module(place) else _Table(place)


def _table_of_network(network: Record, budget: Budget) -> _Table:
    modules = modules_of(network, budget)
    states = {path: module.state for path, module in modules.items()}
    classes = frozenset(module.name.rpartition(".")[2] for module in modules.values())
    return _Table(tensors_of(states, budget), states, classes)


def _reader(table: _Table, prefix: str, outer: Record, budget: Budget) -> Checkpoint | None:
    """The generator under `prefix`, if its learned constant is there."""
    constants = (rosinality.NAMES.constant, genforce.CONSTANT, basicsr.NAMES.constant, mmgeneration.NAMES.constant)
    constant = next((name for name in (*constants, NVIDIA_CONSTANT) if f"{prefix}{name}" in table.tensors), None)
    if constant is None:
        return None
    tensors = _below(table.tensors, prefix)
    _refuse_relatives(tensors, table.classes)
    if constant == rosinality.NAMES.constant:
        return read_rosinality(tensors, outer, budget)
    if constant == genforce.CONSTANT:
        return read_genforce(tensors, budget)
    for names in (basicsr.NAMES, mmgeneration.NAMES):
        if constant == names.constant:
            return names.read(tensors, budget)
    if table.states is not None:
        start = len(prefix)
        inside = {path[start:]: state for path, state in table.states.items() if f"{path}.".startswith(prefix)}
        return read_nvidia_torch(inside, budget)
    state = convert(tensors.items(), lambda name: (name, same), "NVIDIA", budget)
    return Checkpoint("state dict in NVIDIA's naming", state, notes=(NO_CLAMP,))


def _below(table: Record, prefix: str) -> Record:
    """The tensors whose names start with `prefix`, without it."""
    found = Record()
    for name, value in table.items():
        if isinstance(name, str) and name.startswith(prefix):
            if is_foreign(value) and "." in name:
                raise CheckpointError(
                    f"the generator's {printable(name)} is {printable(value)}, which is not known here and was not run"
                )
            if isinstance(value, TensorRef):
                found[name.removeprefix(prefix)] = value
    if not found:
        raise damaged("a generator without tensors")
    return found


def _refuse_relatives(names: Iterable[Any], classes: Iterable[str]) -> None:
    """Refuse by its name what shares a layout or a container with StyleGAN2 and is none."""
    texts = [name for name in names if isinstance(name, str) and len(name) < 300]
    for kind, (mark, classes_mark) in REFUSED.items():
        of_names, of_classes = re.compile(mark), re.compile(classes_mark)
        if any(map(of_names.search, texts)) or any(map(of_classes.fullmatch, classes)):
            raise CheckpointError(f"this is {kind}; only StyleGAN2 generators can be used")
