"""One batch in several processes: each computes on its shard, and sums over all items are joined.

`process_group` joins the processes. Outside of `sharded`, so in a run of one process too, each function here
returns what it was given. Shards are equal: of B items process r of R holds those from r · B/R on. Where several
batches go through a network as one, each of them is divided so.

Random numbers are drawn for all items in every process, and each takes its own: they are those of one process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganlib.errors import ProcessLost


@dataclass(frozen=True)
class BatchShard:
    """The part of each batch that this process computes: that of process `rank` of `count`, `size` items."""

    rank: int
    count: int
    size: int


_shard: BatchShard | None = None


@contextmanager
def sharded(shard: BatchShard | None) -> Iterator[None]:
    """Inside, layers and losses see one shard of the batch; None is the whole batch."""
    global _shard
    _shard = shard
    try:
        yield
    finally:
        _shard = None


def is_sharded() -> bool:
    """Return whether other processes hold other items of the batch."""
    return _shard is not None


def local_items(whole: Tensor, dim: int = 0) -> Tensor:
    """Return this process's items of one or more whole batches along an axis."""
    if _shard is None:
        return whole
    shards = torch.unflatten(whole, dim, (-1, _shard.count, _shard.size))
    return shards.select(dim + 1, _shard.rank).flatten(dim, dim + 1)


def global_count(local_count: int) -> int:
    """Return how many items all processes hold together when this one holds `local_count`."""
    return local_count if _shard is None else local_count * _shard.count


def global_like(own: Tensor) -> Tensor:
    """Return a tensor of any numbers, shaped and laid out as one process would have it in the place of `own`."""
    if _shard is None:
        return own
    channels_last = own.dim() == 4 and own.is_contiguous(memory_format=torch.channels_last)
    return torch.empty(
        (global_count(len(own)), *own.shape[1:]),
        dtype=own.dtype,
        device=own.device,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )


def gather_items(own: Tensor) -> Tensor:
    """Return the items (N, …) of all processes in the order of the whole batch; gradients flow to each."""
    if _shard is None:
        return own
    shards = [own if rank == _shard.rank else torch.zeros_like(own) for rank in range(_shard.count)]
    together = _differentiable_sum(torch.stack(shards))
    return torch.unflatten(together, 1, (-1, _shard.size)).transpose(0, 1).flatten(0, 2)


def batch_mean(values: Tensor) -> Tensor:
    """Return the mean (…) over all items of the batch of values (N, …); gradients flow to each process's items."""
    return mean_over_processes(values.mean(0))


def mean_over_processes(own: Tensor) -> Tensor:
    """Return the mean over the processes of a tensor that each has; gradients flow to each."""
    return own if _shard is None else _differentiable_sum(own) / _shard.count


@torch.no_grad()
def average_gradients(network: nn.Module) -> None:
    """Turn the gradients of each shard's loss into those of the whole batch's, which is the shards' mean."""
    if _shard is None:
        return
    gradients = [weights.grad for weights in network.parameters() if weights.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    sum_over_processes(together)
    together /= _shard.count
    means = torch.split(together, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.reshape(gradient.shape))


def sum_over_processes(own: Tensor) -> None:
    """Put the sum over all processes in the place of the tensor; raises ProcessLost when one has ended."""
    try:
        dist.all_reduce(own)
    except RuntimeError as error:
        raise ProcessLost(
            "Another process of this run has ended, so this one ends too; that one's message says why."
        ) from error


class _DifferentiableSum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs, as each one's numbers are in all the sums."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        total = own.detach().clone(memory_format=torch.contiguous_format)
        sum_over_processes(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _differentiable_sum(gradients[0])


def _differentiable_sum(own: Tensor) -> Tensor:
    total: Tensor = _DifferentiableSum.apply(own)
    return total
