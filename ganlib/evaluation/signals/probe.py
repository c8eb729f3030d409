"""Looks at a run at one iteration: what needs its weights as they are, on the training thread; nothing waits.

All passes are in evaluation mode and float32, and draw from a random stream of their own, so that training is not
touched: the same spec gives the same bytes with other cadences of measuring.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from ganlib.datasets import gather_images
from ganlib.evaluation.signals import networks
from ganlib.evaluation.signals.references import References
from ganlib.networks.layers import find_layers
from ganlib.runtime.random_streams import draw_labels, make_generator, reproducible_torch, seed_layers
from ganlib.training.data import draw_latents
from ganlib.training.recording.run_reporter import choose_sampler
from ganlib.training.recording.samples import draw_samples
from ganlib.training.state import TrainingState

# Samples a measurement: enough for a share to mean something, few enough to cost no more than a step.
SAMPLE_COUNT = 64
_STREAM = "signals"


@dataclass(frozen=True)
class Observation:
    """All that a measurement is computed from, on the device: samples uint8 (N, C, H, W) and numbers ().

    relabelled: images of the same latents with other labels. labels: int64 (N,). features: of samples and of real
    images (N, F). logits: of real training images, held-out ones and samples. numbers: by the metric's name.
    """

    iteration: int
    samples: Tensor
    labels: Tensor | None
    relabelled: Tensor | None
    features: tuple[Tensor, Tensor] | None
    logits: dict[str, Tensor]
    numbers: dict[str, Tensor]


@dataclass
class _Seen:
    """What the hooked layers gave in one pass: by the layer's number."""

    outputs: dict[int, Tensor] = field(default_factory=dict)


class SignalProbe:
    """Takes observations of one run."""

    def __init__(self, state: TrainingState, references: References) -> None:
        self._state = state
        self._references = references
        generator = make_generator(torch.device("cpu"), state.spec.seed, _STREAM)
        latents = draw_latents(state.spec.latents, SAMPLE_COUNT, generator)
        self._latents = latents.to(state.device)
        self._labels: Tensor | None = None
        self._other_labels: Tensor | None = None
        if state.fixed_labels is not None:
            classes = state.spec.dataset.class_count
            self._labels = torch.arange(SAMPLE_COUNT, device=state.device) % classes
            self._other_labels = (
                self._labels + 1 + draw_labels(max(classes - 1, 1), SAMPLE_COUNT, generator).to(state.device)
            ) % classes
        self._before: dict[str, list[Tensor]] = {}

    def before_step(self) -> None:
        """Keep the weights that the next iteration changes."""
        self._before = {
            player: [weights.detach().clone() for weights in network.parameters()]
            for player, network in self._players().items()
        }

    @torch.no_grad()
    def observe(self) -> Observation:
        """Look at the run after the iteration that `before_step` came before."""
        state = self._state
        numbers = self._measure_weights()
        with reproducible_torch(state.device):
            seed_layers(state.device, state.spec.seed, _STREAM, state.iteration)
            sampler, inner = choose_sampler(state), self._inner_layers()
            # One pass serves both where the network that is trained draws the samples, too.
            with _hooked(inner if sampler is state.networks.generator else {}) as seen:
                samples = draw_samples(sampler, self._latents, self._labels)
            relabelled = (
                draw_samples(sampler, self._latents, self._other_labels)
                if self._other_labels is not None
                else None
            )
            if sampler is not state.networks.generator and any(map(networks.can_be_stuck, inner.values())):
                seen = self._watch_generator(inner)
            numbers |= networks.unit_shares("generator", inner, seen.outputs)
            features, logits, shares = self._watch_discriminator(samples)
        return Observation(state.iteration, samples, self._labels, relabelled, features, logits, numbers | shares)

    def _players(self) -> dict[str, nn.Module]:
        return {"generator": self._state.networks.generator, "discriminator": self._state.networks.discriminator}

    def _layers(self, player: str) -> dict[int, nn.Module]:
        count = len(getattr(self._state.spec, player).layers)
        return dict(enumerate(find_layers(self._players()[player], count)))

    def _measure_weights(self) -> dict[str, Tensor]:
        numbers: dict[str, Tensor] = {}
        for player, network in self._players().items():
            weights = [each.detach() for each in network.parameters()]
            size = networks.norm_of(weights)
            numbers[networks.NORMS[player].name] = size
            numbers[networks.GRADIENTS[player].name] = networks.norm_of(networks.gradients_of(network))
            if before := self._before.pop(player, None):
                changed = networks.norm_of(torch._foreach_sub(weights, before))
                numbers[networks.CHANGES[player].name] = changed / size.clamp_min(1e-12)
        return numbers

    def _inner_layers(self) -> dict[int, nn.Module]:
        """Return the generator's layers but the last: that is the picture itself, black where the data are."""
        layers = self._layers("generator")
        return dict(list(layers.items())[: _last_weights(layers)])

    def _watch_generator(self, inner: dict[int, nn.Module]) -> _Seen:
        """Return what the layers of the network that is trained give."""
        generator = self._state.networks.generator
        with _evaluating(generator), _hooked(inner) as seen:
            generator(*(part for part in (self._latents, self._labels) if part is not None))
        return seen

    def _watch_discriminator(
        self, samples: Tensor
    ) -> tuple[tuple[Tensor, Tensor] | None, dict[str, Tensor], dict[str, Tensor]]:
        """Return last features of samples and real images, logits, and numbers of the layers."""
        state, references = self._state, self._references
        if not state.has_gan:
            return None, {}, {}
        discriminator, layers = state.networks.discriminator, self._layers("discriminator")
        inner = dict(list(layers.items())[:-1])
        parts = {"fake": samples, "real": references.training, "held_out": references.held_out}
        parts = {name: images for name, images in parts.items() if len(images)}
        images = gather_images(
            torch.cat(list(parts.values())), torch.arange(sum(map(len, parts.values())), device=state.device)
        )
        labels = self._labels_of(parts)
        with _evaluating(discriminator), _hooked(inner) as seen:
            logits = state.networks.realness(images, labels)
            spectra = networks.singular_values(layers)
        count = len(images)
        by_part = dict(zip(parts, torch.split(logits, [len(part) for part in parts.values()]), strict=True))
        outputs = {index: given[-count:] for index, given in seen.outputs.items()}
        last = outputs.get(len(layers) - 2)
        features = None
        if last is not None:
            flat = last.float().flatten(1)
            features = (flat[: len(samples)], flat[len(samples) : 2 * len(samples)])
        return features, by_part, spectra | networks.unit_shares("discriminator", inner, outputs)

    def _labels_of(self, parts: dict[str, Tensor]) -> Tensor | None:
        """Return the labels of all parts, for a discriminator that takes some."""
        references = self._references
        if self._labels is None or references.training_labels is None:
            return None
        known = {"fake": self._labels, "real": references.training_labels, "held_out": references.held_out_labels}
        return torch.cat([label for name in parts if (label := known[name]) is not None])


def _last_weights(layers: dict[int, nn.Module]) -> int:
    """Return the number of the last layer that has weights of its own."""
    return max((index for index, layer in layers.items() if any(True for _ in layer.parameters())), default=0)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


@contextmanager
def _hooked(layers: dict[int, nn.Module]) -> Iterator[_Seen]:
    seen = _Seen()
    hooks = [layer.register_forward_hook(partial(_keep, seen, index)) for index, layer in layers.items()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _keep(seen: _Seen, index: int, module: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
    seen.outputs[index] = outputs
