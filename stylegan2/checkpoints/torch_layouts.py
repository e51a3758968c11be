"""Which generator a `torch.save` file holds, told by the names of its tensors.

Such a file is a dictionary, at times of dictionaries, of tensors. Averaged weights come first; then the name of
the learned constant, which differs between all layouts, tells which one it is.
"""

from collections.abc import Iterator
from typing import Any

from ganspace_topdis.errors import CheckpointError
from stylegan2.checkpoints import basicsr, genforce, mmgeneration, rosinality
from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.checkpoint import Checkpoint
from stylegan2.checkpoints.genforce import read_genforce
from stylegan2.checkpoints.naming import convert, same
from stylegan2.checkpoints.pickle_machine import Record, damaged
from stylegan2.checkpoints.rosinality import read_rosinality
from stylegan2.checkpoints.tensors import TensorRef

__all__ = ["read_torch_layout"]

NVIDIA_CONSTANT = "synthesis.b4.const"
CONTAINERS = ("g_ema", "G_ema", "generator_smooth", "params_ema", "state_dict", "params", "generator", "g", "G")
PREFIXES = ("", "generator_ema.", "g_ema.", "G_ema.", "decoder.", "generator.", "G.", "module.")
REFUSED = {
    "a StyleGAN3 network": ("synthesis.input.transform", "synthesis.input.freqs", "synthesis.L0_"),
    "a SWAGAN network, which makes wavelets and not pixels": ("iwt.", "dwt."),
    "a StyleGAN1 network, which normalises its activations": ("progression.", "apply_noise.", "noise_injector1."),
    "a network of lucidrains/stylegan2-pytorch, which has other layers": ("to_style1.", "initial_block"),
}


def read_torch_layout(content: Any, budget: Budget) -> Checkpoint:
    """The generator in what a `torch.save` file holds.

    Raises:
        CheckpointError: no known generator is in it.
    """
    if not isinstance(content, Record):
        raise CheckpointError("this torch.save file holds no dictionary of weights; save a state dict")
    tables = list(_tables(content))
    for table in tables:
        for prefix in PREFIXES:
            read = _reader(table, prefix, content, budget)
            if read is not None:
                return read
    names = {name for table in tables for name in table if isinstance(name, str)}
    for kind, marks in REFUSED.items():
        if any(mark in name for name in names for mark in marks):
            raise CheckpointError(f"this is {kind}; only StyleGAN2 generators can be used")
    raise CheckpointError("this torch.save file holds no generator of a known layout; docs/checkpoints.md lists them")


def _tables(content: Record) -> Iterator[Record]:
    """The dictionaries that may hold the tensors, averaged weights first."""
    outer = [content.get("models"), content]
    for place in (place for place in outer if isinstance(place, Record)):
        for name in (*CONTAINERS, "GAN"):
            if isinstance(place.get(name), Record):
                yield place[name]
        yield place


def _reader(table: Record, prefix: str, outer: Record, budget: Budget) -> Checkpoint | None:
    """The generator under `prefix`, if its learned constant is there."""
    if f"{prefix}{rosinality.NAMES.constant}" in table and not _wavelets(table):
        return read_rosinality(_below(table, prefix), outer, budget)
    if f"{prefix}{genforce.CONSTANT}" in table:
        return read_genforce(_below(table, prefix), budget)
    for names in (basicsr.NAMES, mmgeneration.NAMES):
        if f"{prefix}{names.constant}" in table:
            return names.read(_below(table, prefix), budget)
    if f"{prefix}{NVIDIA_CONSTANT}" in table:
        state = convert(_below(table, prefix).items(), lambda name: (name, same), "NVIDIA", budget)
        return Checkpoint("state dict in NVIDIA's naming", state)
    return None


def _below(table: Record, prefix: str) -> Record:
    """The tensors whose names start with `prefix`, without it."""
    found = Record()
    for name, value in table.items():
        if isinstance(name, str) and name.startswith(prefix) and isinstance(value, TensorRef):
            found[name.removeprefix(prefix)] = value
    if not found:
        raise damaged("a generator without tensors")
    return found


def _wavelets(table: Record) -> bool:
    return any(isinstance(name, str) and ("iwt." in name or "dwt." in name) for name in table)
