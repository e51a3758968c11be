"""How the networks are run: precision and compilation. The result depends on neither beyond rounding.

`prepare(model)` replaces `encode` and `decode` of one model by wrapped ones; parameters and state stay as they are.
On a CUDA card `compiled="cuda-graphs"` asks torch.compile for CUDA graphs.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, get_args

import torch
import torch._functorch.config

from ganspace_topdis.errors import InvalidArgumentError
from vae.networks.autoencoder import AutoEncoder
from vae.training.settings import Precision

__all__ = ["Compiled", "prepare"]

Compiled = Literal["none", "default", "cuda-graphs"]


def prepare(model: AutoEncoder, *, device: torch.device, precision: Precision, compiled: Compiled = "none") -> None:
    """Put `model` on `device`, channels last, and wrap what it computes.

    Raises:
        InvalidArgumentError: `compiled` is unknown, or asks for CUDA graphs without a CUDA card.
    """
    if compiled not in get_args(Compiled):
        raise InvalidArgumentError(f"compile is {compiled!r}, allowed are {', '.join(get_args(Compiled))}")
    if compiled == "cuda-graphs" and device.type != "cuda":
        raise InvalidArgumentError("compile is 'cuda-graphs', but the device is no CUDA card; choose default or none")
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compiled != "none":
        torch._functorch.config.donated_buffer = False  # a step differentiates some of its terms one by one
    for name in ("encode", "decode"):
        function = getattr(model, name)
        if compiled != "none":
            function = torch.compile(function, mode="reduce-overhead" if compiled == "cuda-graphs" else None)
        setattr(model, name, _autocast(function, device) if precision == "bf16" else function)


def _autocast(function: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    @wraps(function)
    def run(*arguments: Any) -> Any:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return function(*arguments)

    return run
