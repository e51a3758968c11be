"""One run over several processes, each with its device: every process has the whole batch and computes its rows.

    with join_world("auto") as world:              # by torchrun's environment; one process without it
        features = by_rows(network, codes)         # (N, ...), whole on every process

A loss over a cloud is not the mean of losses over its parts: the barcode of 64 points is not that of twice 32, and
neither are a total correlation or a permuted batch. So the loss is not shared out, only the networks' work is:

    forward    rows of this process -> network -> rows of all processes, gathered
    backward   the loss is the same on every process, so the gradient of this process's rows is its slice; the
               gradient by the input is gathered, and that by the weights is summed over the processes

The result is that of one process with the same batch, up to the rounding of the sum. (DistributedDataParallel, Li et
al. 2020, averages the gradients of separate losses, which is another thing here.) Random numbers are drawn alike on
every process. Only the leader, rank 0, writes and prints.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import functional_call

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.runs.devices import choose_device

__all__ = ["World", "by_rows", "join_world", "smallest"]


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes of one run. Attributes: rank, of this one; size, of them all; device, of this one."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def agreed(self, flag: bool) -> bool:
        """Whether `flag` is true on any process; asked by all of them at the same place."""
        return not smallest(int(not flag))

    def from_leader(self, make: Callable[[], Any]) -> Any:
        """What `make` gives on the leader, on every process; an error of the leader is raised on every process."""
        if self.size == 1:
            return make()
        made: list[Any] = [None, None]
        if self.leads:
            try:
                made[0] = make()
            except TopdisError as error:
                made[1] = error
        dist.broadcast_object_list(made, src=0, device=self.device if self.device.type == "cuda" else None)
        if made[1] is not None:
            raise made[1]
        return made[0]


@contextlib.contextmanager
def join_world(device: str = "auto") -> Iterator[World]:
    """The world that torchrun's environment describes (RANK, WORLD_SIZE, LOCAL_RANK); without it, this process alone.

    Args:
        device: as `choose_device` reads it; "auto" and "cuda" give every process of a machine its own card.

    Raises:
        InvalidArgumentError: more processes on a machine than it has cards.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(rank=0, size=1, device=choose_device(device))
        return
    own = _own_device(device)
    _import_before_the_group()
    if own.type == "cuda":
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield World(rank=dist.get_rank(), size=size, device=own)
    finally:
        dist.destroy_process_group()


def smallest(number: int) -> int:
    """The smallest of the numbers that the processes have; asked by all of them at the same place."""
    if not _several():
        return number
    cuda = dist.get_backend() == "nccl"
    numbers = torch.tensor([number], device="cuda" if cuda else "cpu")
    dist.all_reduce(numbers, op=dist.ReduceOp.MIN)
    return int(numbers.item())


def by_rows(function: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """`function(batch)`, each process computing its part of the rows; simply that where there is one process.

    Args:
        function: (n, ...) -> (n, ...), row by row. The weights of an `nn.Module` get gradients summed over the
            processes; other functions are differentiated by their input only.
        batch: (N, ...), the same on every process.
    """
    if not _several():
        return function(batch)
    size, rank = dist.get_world_size(), dist.get_rank()
    share = -(-len(batch) // size)
    first = min(rank * share, len(batch) - 1)  # a process without rows repeats the last one, and its work is dropped
    local = _TakeRows.apply(batch, slice(first, first + share), share)
    weights = dict(function.named_parameters()) if isinstance(function, nn.Module) else {}
    if isinstance(function, nn.Module) and weights:
        summed = dict(zip(weights, _SumGradients.apply(*weights.values()), strict=True))
        made = functional_call(function, summed, (local,))
    else:
        made = function(local)
    whole: Tensor = _JoinRows.apply(made, len(batch), share)
    return whole


def _several() -> bool:
    return dist.is_available() and dist.is_initialized()


def _import_before_the_group() -> None:
    """Import what keeps the group of the time of its import as a default argument, and with it gloo's threads.

    A thread that outlives `destroy_process_group` may end the process by SIGABRT when the interpreter stops. torch's
    optimisers import this module by way of torch._dynamo, in the middle of a run.
    """
    import torch.distributed.nn  # noqa: F401


def _own_device(device: str) -> torch.device:
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device not in ("auto", "cuda") or (device == "auto" and not torch.cuda.is_available()):
        return choose_device(device)
    if local >= torch.cuda.device_count():
        raise InvalidArgumentError(
            f"process {local} of this machine has no card of its own, there are {torch.cuda.device_count()}; "
            "start as many processes as cards, or give --device cpu"
        )
    return choose_device(f"cuda:{local}")


def _gathered(rows: Tensor, num_rows: int, share: int) -> Tensor:
    """The first `num_rows` rows of all processes' `rows` (at most `share` each), in the order of ranks."""
    padded = rows.new_zeros((share, *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, padded)
    return torch.cat(parts)[:num_rows]


class _TakeRows(torch.autograd.Function):
    """Rows of this process; backward, the rows' gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, batch: Tensor, rows: slice, share: int) -> Tensor:
        ctx.num_rows, ctx.share = len(batch), share
        return batch[rows]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _gathered(gradients[0], ctx.num_rows, ctx.share), None, None


class _JoinRows(torch.autograd.Function):
    """The rows of all processes; backward, the slice of this one, nothing for a row that was only repeated."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, num_rows: int, share: int) -> Tensor:
        ctx.first, ctx.count = dist.get_rank() * share, len(rows)
        return _gathered(rows, num_rows, share)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        own = gradients[0][ctx.first : ctx.first + ctx.count]
        return own if len(own) else torch.zeros_like(gradients[0][: ctx.count]), None, None


class _SumGradients(torch.autograd.Function):
    """The same weights; backward, their gradients summed over the processes, in one message.

    A gradient gets its weight's strides: fused optimisers read both in the order of memory.
    """

    @staticmethod
    def forward(ctx: Any, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.weights = [weight.detach() for weight in weights]
        return tuple(weight.view_as(weight) for weight in weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        parts = flat.split([weight.numel() for weight in ctx.weights])
        return tuple(
            torch.empty_like(weight).copy_(part.view(weight.shape))
            for part, weight in zip(parts, ctx.weights, strict=True)
        )
