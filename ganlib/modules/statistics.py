"""Batch norm's running statistics: which batches they are of."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


def find_batch_norms(network: nn.Module) -> list[BatchNorm]:
    """Return the layers of the network that keep running statistics."""
    return [module for module in network.modules() if isinstance(module, BatchNorm)]


@contextmanager
def frozen_statistics(norms: Sequence[BatchNorm]) -> Iterator[None]:
    """Inside, these layers normalise by each batch as ever, but their running statistics stay as they are."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
