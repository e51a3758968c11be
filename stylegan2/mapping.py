"""The mapping network, which turns a code z (and a class) into style codes w, and the layers that it consists of.

z is scaled to a mean square of one and passed through fully connected layers, usually with leaky ReLU; w is repeated
for every layer of the synthesis network. Truncation moves the first `cutoff` styles toward their mean: w' = w_avg +
psi (w - w_avg). Sources: Karras et al. 2019, arXiv:1812.04948, sections 2 and B; Karras et al. 2020,
arXiv:2006.06676, for the class embedding.

Weights have unit variance (times 1 / lr_multiplier) and are scaled at run time, which equalizes the learning rates of
all layers: y = act(x (W lr / sqrt(n))^T + b lr). Source: Karras et al. 2018, arXiv:1710.10196, section 4.1.
"""

import math

import torch
from torch import Tensor, nn

from ganspace_topdis.errors import InvalidArgumentError
from stylegan2.config import GeneratorConfig
from stylegan2.ops.bias_act import GAINS, activate
from stylegan2.ops.weight_cache import cached, type_of_products

__all__ = [
    "MAPPING_LR_MULTIPLIER",
    "FullyConnected",
    "MappingNetwork",
    "normalize_second_moment",
    "standard_normal",
]

MAPPING_LR_MULTIPLIER = 0.01


def standard_normal(*shape: int) -> Tensor:
    """Draw initial weights.

    Nothing is drawn on torch's meta device, which only has shapes: drawing there loads a compiler.
    """
    weights = torch.empty(shape)
    return weights if weights.is_meta else weights.normal_()


def normalize_second_moment(x: Tensor) -> Tensor:
    """Scale each row of (B, D) to a mean square of one."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class FullyConnected(nn.Module):
    """A linear layer with equalized learning rate, followed by an activation times its gain.

    Args:
        in_features: length of an input row.
        out_features: length of an output row.
        act: the name of the activation, in `GAINS`.
        lr_multiplier: learning rate relative to other layers.
        bias_init: initial value of the bias.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        act: str = "linear",
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.act = act
        weight = standard_normal(out_features, in_features)
        self.weight = nn.Parameter(weight if weight.is_meta else weight / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """Map rows (B, in_features) to rows (B, out_features)."""
        weight: Tensor = self.weight
        dtype = type_of_products(x)
        if dtype != weight.dtype:
            weight = cached(weight, f"{dtype}", lambda weight: weight.to(dtype))
        x = torch.addmm(self.bias * self.bias_gain, x, weight.t(), alpha=self.weight_gain)
        return x if self.act == "linear" else activate(x, self.act) * GAINS[self.act]


class MappingNetwork(nn.Module):
    """Maps z (B, z_dim) and, for conditional models, c (B, c_dim) to w (B, num_ws, w_dim).

    In training mode each call updates the mean style: w_avg <- beta w_avg + (1 - beta) mean(w), beta = `w_avg_beta`.
    """

    w_avg: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.z_dim, self.c_dim, self.w_dim = config.z_dim, config.c_dim, config.w_dim
        self.num_ws, self.num_layers = config.num_ws, config.num_mapping_layers
        self.w_avg_beta = 0.995
        embedded = 0
        if self.c_dim > 0:
            embedded = config.embed_features or config.w_dim
            self.embed = FullyConnected(self.c_dim, embedded)
        hidden = config.mapping_features or config.w_dim
        widths = [self.z_dim + embedded, *[hidden] * (self.num_layers - 1), self.w_dim]
        for index in range(self.num_layers):
            inputs, outputs, act = widths[index], widths[index + 1], config.mapping_activation
            layer = FullyConnected(inputs, outputs, act=act, lr_multiplier=MAPPING_LR_MULTIPLIER)
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(self.w_dim))

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """Map codes to styles.

        Args:
            z: codes (B, z_dim), standard normal.
            c: class weights (B, c_dim), one-hot rows, for conditional models only.
            truncation_psi: 1 leaves w unchanged, 0 gives the mean style.
            truncation_cutoff: the number of styles, from the first, that are truncated; None: all.

        Returns:
            w (B, num_ws, w_dim).

        Raises:
            InvalidArgumentError: a shape does not match the model, or a conditional model got no class.
        """
        w = self._map(z, c)
        if self.training:
            self.w_avg.copy_(w.detach().mean(dim=0).lerp(self.w_avg, self.w_avg_beta))
        ws = w.unsqueeze(1).repeat(1, self.num_ws, 1)
        return self.truncate(ws, truncation_psi, truncation_cutoff)

    def truncate(self, ws: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
        """Move the first `cutoff` styles of (B, num_ws, w_dim) toward the mean style; None: all."""
        if psi == 1.0:
            return ws
        count = self.num_ws if cutoff is None else cutoff
        if not 0 <= count <= self.num_ws:
            raise InvalidArgumentError(
                f"truncation_cutoff={cutoff} is not allowed; give 0 to {self.num_ws} or None", field="truncation_cutoff"
            )
        return torch.cat((self.w_avg.to(ws).lerp(ws[:, :count], psi), ws[:, count:]), dim=1)

    def _map(self, z: Tensor, c: Tensor | None) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise InvalidArgumentError(f"z has shape {tuple(z.shape)}; this generator takes (batch, {self.z_dim})")
        x = z.to(self.w_avg)
        x = normalize_second_moment(x) if self.c_dim == 0 else self._join(x, c)
        for index in range(self.num_layers):
            x = self.get_submodule(f"fc{index}")(x)
        return x

    def _join(self, x: Tensor, c: Tensor | None) -> Tensor:
        if c is None or c.shape != (x.shape[0], self.c_dim):
            given = "none" if c is None else str(tuple(c.shape))
            raise InvalidArgumentError(
                f"this generator is conditional: give classes c of shape ({x.shape[0]}, {self.c_dim}), not {given}"
            )
        y = self.embed(c.to(x))
        if self.config.joint_normalization:
            return normalize_second_moment(torch.cat((x, y), dim=1))
        return torch.cat((normalize_second_moment(x), normalize_second_moment(y)), dim=1)
