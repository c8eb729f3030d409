"""What layers give, for histograms (Winkler, 2018, section 4.7.2), from a pass that the run does not notice.

A batch of real images and one of fakes goes through both networks as they are after the iteration, in training
mode and in the run's precision. Compiled and recorded passes cannot be watched, so this one is neither. Its random
numbers come from a stream of its own, and what the pass changes in the networks is put back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from ganlib.datasets import gather_images
from ganlib.networks.layers import find_layers
from ganlib.runtime.device import autocast
from ganlib.runtime.random_streams import draw_labels, make_generator, reproducible_torch, seed_layers
from ganlib.spec.layers import watched_layers
from ganlib.training.data import draw_latents
from ganlib.training.state import TrainingState
from ganlib.vocabulary import layer_histogram

_STREAM = "layer histograms"


@torch.no_grad()
def record_layers(state: TrainingState) -> dict[str, Tensor]:
    """Return the outputs float32 (N · numbers of one item,) of the layers that the spec names, by histogram.

    Nothing waits for the device.
    """
    spec, networks = state.spec, state.networks
    kinds = {
        player: [layer.layer for layer in getattr(spec, player).layers]
        for player in ("generator", "discriminator")
    }
    watched = watched_layers(spec.histogram_layers, kinds)
    if not watched:
        return {}
    seen: dict[tuple[str, int], Tensor] = {}
    hooks = [
        find_layers(getattr(networks, player), len(kinds[player]))[index].register_forward_hook(
            partial(_keep, seen, (player, index))
        )
        for player, index in watched
    ]
    try:
        with (
            reproducible_torch(state.device),
            _unchanged(networks.generator),
            _unchanged(networks.discriminator),
            autocast(state.device, state.precision),
        ):
            seed_layers(state.device, spec.seed, _STREAM, state.iteration)
            generator = make_generator(torch.device("cpu"), spec.seed, _STREAM, state.iteration)
            fakes, fake_labels = _draw_fakes(state, generator)
            outputs = _name_values(seen, spec.batch_size)
            chosen = torch.randint(len(state.images), (spec.batch_size,), generator=generator).to(state.device)
            real_labels = None if state.data.labels is None else state.data.labels[chosen]
            networks.discriminate_eagerly(gather_images(state.images, chosen), real_labels)
            outputs |= _name_values(seen, spec.batch_size, "real")
            networks.discriminate_eagerly(fakes, fake_labels)
            return outputs | _name_values(seen, spec.batch_size, "fake")
    finally:
        for hook in hooks:
            hook.remove()


def _keep(
    seen: dict[tuple[str, int], Tensor],
    place: tuple[str, int],
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    outputs: Tensor,
) -> None:
    seen[place] = outputs


def _name_values(seen: dict[tuple[str, int], Tensor], count: int, side: str = "") -> dict[str, Tensor]:
    """Return what one pass of `count` items left, by histogram, and forget it."""
    # With virtual batch norm the reference's own numbers come first.
    values = {
        layer_histogram(player, index, side): outputs[-count:].float().flatten()
        for (player, index), outputs in sorted(seen.items(), key=lambda item: item[0][1])
    }
    seen.clear()
    return values


def _draw_fakes(state: TrainingState, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
    spec = state.spec
    latents = draw_latents(spec.latents, spec.batch_size, generator).to(state.device)
    if state.fixed_labels is None:
        return state.networks.generator(latents), None
    labels = draw_labels(spec.dataset.class_count, spec.batch_size, generator).to(state.device)
    return state.networks.generator(latents, labels), labels


@contextmanager
def _unchanged(network: nn.Module) -> Iterator[None]:
    """Put back what a pass in training mode changes: running statistics, and the vectors of spectral norm."""
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in network.named_buffers():
            buffer.copy_(before[name])
