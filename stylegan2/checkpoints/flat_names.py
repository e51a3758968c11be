"""The naming that rosinality began and others vary: first layers by name, all further ones in two lists.

`conv1`, `convs.0`, `convs.1`, ... are the convolutions in order, `to_rgb1`, `to_rgbs.0`, ... the image layers,
`style.1`, `style.2`, ... the mapping layers (0 is the normalisation). Kernels have a leading axis of 1 and are
stored the way NVIDIA's PyTorch code has them; the style's bias includes the 1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.checkpoint import Checkpoint
from stylegan2.checkpoints.naming import (
    DROPPED,
    Target,
    convert,
    fill_gaps,
    image_layer,
    layer,
    map_only,
    same,
    without_first_axis,
)
from stylegan2.checkpoints.pickle_machine import Record

__all__ = ["FlatNames"]


@dataclass(frozen=True, kw_only=True)
class FlatNames:
    """One variation of the naming.

    Attributes:
        format: the kind of file, in words.
        constant: the learned constant. No two variations share its name.
        mapping: what precedes the number of a mapping layer.
        mapping_parts: the names in a mapping layer, and ours.
        noise: what precedes the number of a noise image.
        first: the convolution at 4 px.
        others: the list of the other convolutions.
        parts: the names in a convolution or an image layer, and their targets within it.
        note: what a user of such a file should know.
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

    def read(self, tensors: Record, budget: Budget) -> Checkpoint:
        """The generator whose tensors are `tensors`, with what such files leave out filled in.

        Raises:
            CheckpointError: a tensor is unknown or damaged.
        """
        state = self.convert(tensors, budget)
        notes = () if self.note is None else (self.note,)
        return Checkpoint(self.format, state, notes=(*notes, *fill_gaps(state)))

    def convert(self, tensors: Record, budget: Budget) -> dict[str, Tensor]:
        """The tensors under NVIDIA's names, with the same gaps."""
        return convert(tensors.items(), self.rename, self.format, budget)

    def rename(self, name: str) -> Target | None:
        """The target of `name`; None if it has no place."""
        if name == self.constant:
            return "synthesis.b4.const", without_first_axis
        if match := re.fullmatch(rf"{re.escape(self.noise)}(\d{{1,2}})", name):
            return f"{layer(int(match[1]))}.noise_const", map_only
        if match := re.fullmatch(rf"{re.escape(self.mapping)}\.([1-9]\d?)\.(.+)", name):
            part = self.mapping_parts.get(match[2])
            return None if part is None else (f"mapping.fc{int(match[1]) - 1}.{part}", same)
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
            return layer(int(number) + 1)
        if listed == "to_rgbs":
            return image_layer(int(number) + 1)
        return layer(0) if name == self.first else image_layer(0)
