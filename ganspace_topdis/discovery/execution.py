"""How a generator is run in a search: in which precision, and compiled or not."""

import torch
from torch import Tensor

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.generators import Generate

__all__ = ["compiled", "in_mixed_precision"]


def in_mixed_precision(generate: Generate) -> Generate:
    """`generate` under autocast to bfloat16, its result in float32: distances and barcodes are never rounded."""

    def run(codes: Tensor) -> Tensor:
        with torch.autocast(codes.device.type, dtype=torch.bfloat16):
            return generate(codes).float()

    return run


def compiled(generate: Generate) -> Generate:
    """`generate` by `torch.compile`.

    Raises:
        TopdisError: at the first call, where this machine cannot compile.
    """
    fast = torch.compile(generate)
    worked = False

    def run(codes: Tensor) -> Tensor:
        nonlocal worked
        try:
            result: Tensor = fast(codes)
        except Exception as error:  # torch._dynamo raises a dozen kinds, and whatever a compiler raises
            if worked:
                raise
            raise TopdisError(
                f"the generator cannot be compiled here ({type(error).__name__}); leave --compile out"
            ) from error
        worked = True
        return result

    return run
