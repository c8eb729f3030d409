"""Histograms of logits, gradients and layers while a run trains (Winkler, 2018, section 4.7.2).

On the training thread tensors are only kept; they are counted into bins on their device by the background writer.

What layers give comes from a pass that the run does not notice. A batch of real images and one of fakes goes
through both networks as they are after the iteration, in training mode and in the run's precision. Compiled and
recorded passes cannot be watched, so this one is neither. Its random numbers come from a stream of its own, and
what the pass changes in the networks is put back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from ganlib.datasets import gather_images
from ganlib.events import BIN_COUNT, Event, Histogram, HistogramsLogged
from ganlib.networks.layers import find_layers
from ganlib.runtime.device import autocast
from ganlib.runtime.random_streams import draw_labels, make_generator, reproducible_torch, seed_layers
from ganlib.spec.layers import watched_layers
from ganlib.training.data import draw_latents
from ganlib.training.recording.background_writer import BackgroundWriter
from ganlib.training.state import StepResult, TrainingState
from ganlib.vocabulary import (
    DISCRIMINATOR_GRADIENTS,
    FAKE_LOGITS,
    GENERATOR_GRADIENTS,
    REAL_LOGITS,
    layer_histogram,
)

_STREAM = "layer histograms"
_LOGITS = {"real": REAL_LOGITS.name, "fake": FAKE_LOGITS.name}


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


@torch.no_grad()
def count_bins(values: Tensor) -> Histogram:
    """Count float32 values (N,) into equal bins from the least to the greatest finite one, both ends included.

    Values that are all equal lie in the middle of a range of their own size, or of 1 around 0.
    """
    values = values.double()
    finite = values[values.isfinite()]
    not_finite = len(values) - len(finite)
    if not len(finite):
        return Histogram(low=0.0, high=1.0, counts=(0,) * BIN_COUNT, not_finite=not_finite)
    low, high = (bound.item() for bound in finite.aminmax())
    if low == high:
        reach = abs(low) / 2 or 0.5
        low, high = low - reach, high + reach
    bins = ((finite - low) / (high - low) * BIN_COUNT).long()
    counts = torch.bincount(bins.clamp_(0, BIN_COUNT - 1), minlength=BIN_COUNT)
    return Histogram(low=low, high=high, counts=tuple(counts.tolist()), not_finite=not_finite)


class HistogramReporter:
    """Reports histograms every so many iterations, if the spec asks for them."""

    def __init__(self, state: TrainingState, writer: BackgroundWriter) -> None:
        self._state = state
        self._writer = writer
        self._every = state.spec.histogram_every

    def observe(self, step: StepResult) -> None:
        """Keep an iteration's logits, and queue the histograms where they are due.

        The last iteration has some too, whatever the cadence; a run that is resumed from there keeps its logits.
        """
        if self._every is None:
            return
        state = self._state
        state.logit_history.add(step.real_logits, step.fake_logits)
        is_due = state.iteration % self._every == 0
        if not is_due and state.iteration != state.spec.iterations:
            return
        tensors = {_LOGITS[side]: parts for side, parts in state.logit_history.parts().items()}
        gradients = {
            GENERATOR_GRADIENTS: _copy_gradients(state.networks.generator),
            DISCRIMINATOR_GRADIENTS: _copy_gradients(state.networks.discriminator),
        }
        self._writer.put(partial(_make_histograms, state.iteration, tensors, gradients))
        if layers := record_layers(state):
            self._writer.put(partial(_make_layer_histograms, state.iteration, layers))
        if is_due:
            state.logit_history.clear()


def _copy_gradients(network: nn.Module) -> list[Tensor]:
    # Copies, because the next iteration may write into the same memory.
    return [
        weights.grad.detach().flatten().clone() for weights in network.parameters() if weights.grad is not None
    ]


def _make_histograms(iteration: int, logits: dict[str, list[Tensor]], gradients: dict[str, list[Tensor]]) -> Event:
    values = {name: torch.cat(parts) for name, parts in logits.items()}
    # A gradient of 0 has no logarithm; it is counted with what is not finite.
    values |= {name: torch.cat(parts).abs().log10() for name, parts in gradients.items() if parts}
    return HistogramsLogged(iteration=iteration, histograms={n: count_bins(v) for n, v in values.items()})


def _make_layer_histograms(iteration: int, layers: dict[str, Tensor]) -> Event:
    return HistogramsLogged(iteration=iteration, histograms={name: count_bins(v) for name, v in layers.items()})
