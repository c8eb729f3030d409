"""One batch dealt out to several processes: each computes on its share, and what looks at all items is joined.

`process_group` joins the processes. Outside of `dealt`, so in a run of one process too, each function here returns
what it was given. Shares are equal: of B items process r of R holds those from r · B/R on. Where several batches
go through a network as one, each of them is dealt so.

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
class Share:
    """Which part of each batch this process computes: that of process `rank` of `count`, `size` items."""

    rank: int
    count: int
    size: int


_share: Share | None = None


@contextmanager
def dealt(share: Share | None) -> Iterator[None]:
    """Inside, layers and losses know that they see one share; None is the whole batch."""
    global _share
    _share = share
    try:
        yield
    finally:
        _share = None


def is_dealt() -> bool:
    """Whether other processes hold other items of the batch."""
    return _share is not None


def own_items(whole: Tensor, dim: int = 0) -> Tensor:
    """Return this process's items of one or more whole batches along an axis."""
    if _share is None:
        return whole
    dealt_out = torch.unflatten(whole, dim, (-1, _share.count, _share.size))
    return dealt_out.select(dim + 1, _share.rank).flatten(dim, dim + 1)


def whole_count(own_count: int) -> int:
    """Return how many items all processes hold together when this one holds so many."""
    return own_count if _share is None else own_count * _share.count


def whole_like(own: Tensor) -> Tensor:
    """Return a tensor of any numbers, shaped and laid out as one process would have it in the place of `own`."""
    if _share is None:
        return own
    channels_last = own.dim() == 4 and own.is_contiguous(memory_format=torch.channels_last)
    return torch.empty(
        (whole_count(len(own)), *own.shape[1:]),
        dtype=own.dtype,
        device=own.device,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )


def all_items(own: Tensor) -> Tensor:
    """Return the items (N, …) of all processes in the order of the whole batch; gradients flow to each."""
    if _share is None:
        return own
    shares = [own if rank == _share.rank else torch.zeros_like(own) for rank in range(_share.count)]
    together = _add_up(torch.stack(shares))
    return torch.unflatten(together, 1, (-1, _share.size)).transpose(0, 1).flatten(0, 2)


def batch_mean(values: Tensor) -> Tensor:
    """Return the mean (…) over all items of the batch of values (N, …); gradients flow to each process's items."""
    return mean_of_shares(values.mean(0))


def mean_of_shares(own: Tensor) -> Tensor:
    """Return the mean over the processes of a tensor that each has; gradients flow to each."""
    return own if _share is None else _add_up(own) / _share.count


@torch.no_grad()
def average_gradients(network: nn.Module) -> None:
    """Turn the gradients of each share's loss into those of the whole batch's, which is the shares' mean."""
    if _share is None:
        return
    gradients = [weights.grad for weights in network.parameters() if weights.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    add_up(together)
    together /= _share.count
    means = torch.split(together, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.reshape(gradient.shape))


def add_up(own: Tensor) -> None:
    """Put the sum over all processes in the place of the tensor; raises ProcessLost when one has ended."""
    try:
        dist.all_reduce(own)
    except RuntimeError as error:
        raise ProcessLost(
            "Another process of this run has ended, so this one ends too; that one's message says why."
        ) from error


class _AddUp(torch.autograd.Function):
    """The sum over all processes. Its gradient is the sum of theirs: each one's numbers went into all the sums."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        total = own.detach().clone(memory_format=torch.contiguous_format)
        add_up(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _add_up(gradients[0])


def _add_up(own: Tensor) -> Tensor:
    total: Tensor = _AddUp.apply(own)
    return total
