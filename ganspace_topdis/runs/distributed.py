"""Row-parallel computation: every process holds the whole batch and computes its rows on its own device.

    with join_process_group("auto") as group:      # from torchrun's environment; otherwise a single process
        features = row_parallel(network, codes)    # (N, ...), complete on every process

A loss over a point cloud is not the mean of losses over its parts: the barcode of 64 points is not that of two sets of
32, and the same holds for a total correlation or a permuted batch. Therefore the networks are computed in parallel,
and the loss on every process:

    forward    rows of this process -> network -> rows of all processes, gathered
    backward   the loss is the same on every process, so the gradient of this process's rows is its slice; gradients
               of the input are gathered, gradients of the weights are summed over the processes

The result equals that of one process with the same batch, up to the rounding of the sum. (DistributedDataParallel, Li
et al. 2020, instead averages the gradients of separate losses.) All processes draw the same random numbers. Only the
main process, rank 0, writes and prints.
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

__all__ = ["ProcessGroup", "all_reduce_min", "join_process_group", "row_parallel"]


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """The processes of one run. Every process must call the methods in the same order.

    Attributes:
        rank: of this process, in [0, size).
        size: number of processes.
        device: of this process.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def any_true(self, flag: bool) -> bool:
        """Return whether `flag` is true on any process."""
        return not all_reduce_min(int(not flag))

    def broadcast(self, compute: Callable[[], Any]) -> Any:
        """Call `compute` on the main process; return its result, or raise its `TopdisError`, on every process."""
        if self.size == 1:
            return compute()
        outcome: list[Any] = [None, None]
        if self.is_main:
            try:
                outcome[0] = compute()
            except TopdisError as error:
                outcome[1] = error
        dist.broadcast_object_list(outcome, src=0, device=self.device if self.device.type == "cuda" else None)
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]


@contextlib.contextmanager
def join_process_group(device: str = "auto") -> Iterator[ProcessGroup]:
    """Join the group of torchrun's environment (RANK, WORLD_SIZE, LOCAL_RANK); otherwise a group of this process.

    Args:
        device: see `choose_device`; "auto", "cuda" and other kinds of devices without an index, such as "xpu", assign
            each process of a machine its own device, unless there is one only, as with Apple's GPUs.

    Raises:
        InvalidArgumentError: a machine has more processes than devices.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ProcessGroup(rank=0, size=1, device=choose_device(device))
        return
    own = _own_device(device)
    _import_distributed_nn()
    if own.type == "cuda":
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield ProcessGroup(rank=dist.get_rank(), size=size, device=own)
    finally:
        dist.destroy_process_group()


def all_reduce_min(number: int) -> int:
    """Return the minimum of `number` over all processes."""
    if not _is_parallel():
        return number
    numbers = torch.tensor([number], device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(numbers, op=dist.ReduceOp.MIN)
    return int(numbers.item())


def row_parallel(function: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """Return `function(batch)`, of which each process computes an equal number of rows.

    Args:
        function: (n, ...) -> (n, ...), applied row by row. Gradients of the weights of an `nn.Module` are summed over
            the processes; other functions are differentiated only with respect to their input.
        batch: (N, ...), the same on every process.

    Returns:
        (N, ...), the same on every process.
    """
    if not _is_parallel():
        return function(batch)
    size, rank = dist.get_world_size(), dist.get_rank()
    share = -(-len(batch) // size)
    first = min(rank * share, len(batch) - 1)  # a process without rows computes the last one, which is dropped
    local = _TakeRows.apply(batch, slice(first, first + share), share)
    weights = dict(function.named_parameters()) if isinstance(function, nn.Module) else {}
    if isinstance(function, nn.Module) and weights:
        summed = dict(zip(weights, _SumGradients.apply(*weights.values()), strict=True))
        outputs = functional_call(function, summed, (local,))
    else:
        outputs = function(local)
    gathered: Tensor = _JoinRows.apply(outputs, len(batch), share)
    return gathered


def _is_parallel() -> bool:
    return dist.is_available() and dist.is_initialized()


def _import_distributed_nn() -> None:
    """Import the module before the group exists: its default arguments would keep the group and gloo's threads alive.

    A thread that outlives `destroy_process_group` may abort the process (SIGABRT) when the interpreter exits. torch's
    optimizers import this module through torch._dynamo in the middle of a run.
    """
    import torch.distributed.nn  # noqa: F401


def _own_device(device: str) -> torch.device:
    chosen = choose_device("cuda" if device == "auto" and torch.cuda.is_available() else device)
    if chosen.index is not None or chosen.type == "cpu":
        return chosen
    module: Any = getattr(torch, chosen.type, None)
    count = module.device_count() if hasattr(module, "device_count") else 1
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if count == 1 and chosen.type != "cuda":
        return chosen
    if local >= count:
        raise InvalidArgumentError(
            f"process {local} of this machine has no device of its own: there are {count} of {chosen.type}; "
            "start one process per device, or set `device` to cpu",
            field="device",
        )
    return choose_device(f"{chosen.type}:{local}")


def _on_host(tensor: Tensor) -> Tensor:
    """The tensor, on the host where the processes cannot exchange those of its device: gloo knows the host's only."""
    return tensor if dist.get_backend() == "nccl" else tensor.cpu()


def _gather(rows: Tensor, num_rows: int, share: int) -> Tensor:
    """Concatenate the `rows` of all processes (at most `share` each) by rank; return the first `num_rows`."""
    padded = rows.new_zeros((share, *rows.shape[1:]))
    padded[: len(rows)] = rows
    sent = _on_host(padded)
    parts = [torch.empty_like(sent) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, sent)
    return torch.cat(parts)[:num_rows].to(rows.device)


class _TakeRows(torch.autograd.Function):
    """The rows of this process. The backward pass gathers the gradients of all processes' rows."""

    @staticmethod
    def forward(ctx: Any, batch: Tensor, rows: slice, share: int) -> Tensor:
        ctx.num_rows, ctx.share = len(batch), share
        return batch[rows]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _gather(gradients[0], ctx.num_rows, ctx.share), None, None


class _JoinRows(torch.autograd.Function):
    """The rows of all processes. The backward pass takes this process's slice, zero for a repeated row."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, num_rows: int, share: int) -> Tensor:
        ctx.first, ctx.count = dist.get_rank() * share, len(rows)
        return _gather(rows, num_rows, share)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        own = gradients[0][ctx.first : ctx.first + ctx.count]
        return own if len(own) else torch.zeros_like(gradients[0][: ctx.count]), None, None


class _SumGradients(torch.autograd.Function):
    """The weights unchanged. The backward pass sums their gradients over the processes in one all-reduce.

    A gradient gets the strides of its weight: fused optimizers read both in memory order.
    """

    @staticmethod
    def forward(ctx: Any, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.weights = [weight.detach() for weight in weights]
        return tuple(weight.view_as(weight) for weight in weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        flat = _on_host(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        dist.all_reduce(flat)
        parts = flat.to(gradients[0].device).split([weight.numel() for weight in ctx.weights])
        return tuple(
            torch.empty_like(weight).copy_(part.view(weight.shape))
            for part, weight in zip(parts, ctx.weights, strict=True)
        )
