"""Adam on all parameters of a network as one vector: one launch for the step, the sum and the norm of gradients each.

The parameters become views of one buffer, in their own memory layout, and stay the network's. `flatten` turns their
gradients into one vector in the order of the buffer. The state is that of `torch.optim.Adam`, one entry per parameter,
so that a checkpoint does not depend on how the step is taken. (Kingma and Ba 2015.)
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["FlatAdam"]


class FlatAdam:
    """`torch.optim.Adam` of parameters of one device and dtype, which become views of one buffer.

    Args:
        parameters: the parameters, where they stay: their device must not change afterwards.
        lr: learning rate.
        betas: decay of the two moments.
        eps: added to the root of the second moment.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, lr: float, betas: tuple[float, float], eps: float = 1e-8
    ) -> None:
        self.parameters = list(parameters)
        self._sizes = [parameter.numel() for parameter in self.parameters]
        self._orders = [_memory_order(parameter) for parameter in self.parameters]
        self._vector = nn.Parameter(self.flatten([parameter.detach() for parameter in self.parameters]))
        for parameter, view in zip(self.parameters, self.views(self._vector.detach()), strict=True):
            parameter.data = view
        self._zeros = torch.zeros_like(self._vector)
        self._adam = torch.optim.Adam([self._vector], lr=lr, betas=betas, eps=eps, fused=True)

    def flatten(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """Return one vector of a gradient per parameter, of its shape; None stands for zeros."""
        zeros = self._zeros.split(self._sizes) if any(gradient is None for gradient in gradients) else self._sizes
        pieces = [
            zero if gradient is None else gradient.permute(order).reshape(-1)
            for gradient, order, zero in zip(gradients, self._orders, zeros, strict=True)
        ]
        return torch.cat(pieces)

    def views(self, vector: Tensor) -> list[Tensor]:
        """Return the parts of a vector of `flatten` in the shapes and memory layouts of the parameters."""
        return [
            piece.as_strided(parameter.shape, parameter.stride(), piece.storage_offset())
            for piece, parameter in zip(vector.split(self._sizes), self.parameters, strict=True)
        ]

    def zero_grad(self) -> None:
        """Remove the gradients of all parameters."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self, gradient: Tensor | None = None) -> None:
        """Take a step with a vector of `flatten`, which becomes the parameters' `grad`; by default with that."""
        if gradient is None:
            gradient = self.flatten([parameter.grad for parameter in self.parameters])
        else:
            for parameter, view in zip(self.parameters, self.views(gradient), strict=True):
                parameter.grad = view
        self._vector.grad = gradient
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of a `torch.optim.Adam` of the parameters."""
        whole = self._adam.state_dict()
        (group,) = whole["param_groups"]
        state: dict[int, dict[str, Tensor]] = {}
        for own in whole["state"].values():
            moments = {name: self.views(own[name]) for name in ("exp_avg", "exp_avg_sq")}
            for index in range(len(self.parameters)):
                parts = {name: views[index] for name, views in moments.items()}
                state[index] = {"step": own["step"].clone(), **parts}
        return {"state": state, "param_groups": [{**group, "params": list(range(len(self.parameters)))}]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict`, or a `torch.optim.Adam` of the parameters, returned."""
        (group,) = state["param_groups"]
        parts = [state["state"][index] for index in sorted(state["state"])]
        merged: dict[int, dict[str, Tensor]] = {}
        if parts:
            moments = {name: self.flatten([part[name] for part in parts]) for name in ("exp_avg", "exp_avg_sq")}
            merged[0] = {"step": parts[0]["step"], **moments}
        self._adam.load_state_dict({"state": merged, "param_groups": [{**group, "params": [0]}]})


def _memory_order(tensor: Tensor) -> list[int]:
    """Return the dimensions of a dense tensor in the order of their strides, largest first."""
    strides = tensor.stride()
    return sorted(range(tensor.ndim), key=lambda dim: (-strides[dim], dim))
