"""Whether a spec's batches can be computed in equal shares by several processes (no torch)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ganlib.layers import LayerSpec, MinibatchDiscrimination, Norm

if TYPE_CHECKING:
    from ganlib.spec import JobSpec


def find_share_problem(spec: "JobSpec", count: int) -> tuple[str, str] | None:
    """Return the first field that keeps `count` processes from computing what one does, and why, or None."""
    if spec.batch_size % count:
        return "batch_size", f"{spec.batch_size} cannot be dealt out to {count} processes evenly."
    if spec.speed.compile or spec.speed.cuda_graphs:
        return "speed", "speed.compile and speed.cuda_graphs work in one process alone; leave them out."
    for player, network in (("generator", spec.generator), ("discriminator", spec.discriminator)):
        mixing = _find_mixing_layer(network.layers)
        if mixing is not None:
            return (
                player,
                f"The {player} has virtual batch norm beside {mixing.layer}, which would see the reference "
                "batch once in each process; train it in one process.",
            )
    return None


def _find_mixing_layer(layers: Sequence[LayerSpec]) -> LayerSpec | None:
    """Return the first layer that would see the reference batch of a virtual batch norm beside it, or None."""
    if not any(isinstance(layer, Norm) and layer.kind == "virtual_batch" for layer in layers):
        return None
    return next((layer for layer in layers if _sees_reference(layer)), None)


def _sees_reference(layer: LayerSpec) -> bool:
    batch_norm = isinstance(layer, Norm) and layer.kind != "virtual_batch"
    return batch_norm or isinstance(layer, MinibatchDiscrimination) or layer.layer in ("dropout", "noise")
