"""Computes a run's signals from observations, off the training thread."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlib.evaluation.signals import samples
from ganlib.evaluation.signals.probe import Observation
from ganlib.evaluation.signals.references import References
from ganlib.vocabulary import (
    CHECKERBOARD,
    CONTRAST,
    COPIES,
    DISCRIMINATOR_ACCURACY,
    DIVERSITY,
    DUPLICATES,
    FEATURE_DIVERSITY,
    GENERATED_LOGITS,
    HELD_OUT_LOGITS,
    KIND_SHARE,
    KINDS,
    LABEL_AGREEMENT_SIGNAL,
    LABEL_EFFECT,
    MOVEMENT,
    NEAREST_TRAINING,
    OVERFITTING,
    REAL_DISTANCE,
    TRAINING_LOGITS,
)


class SignalMeter:
    """Turns observations into signals. It remembers the last samples, which a checkpoint has to hold."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._last: Tensor | None = None

    @property
    def last_samples(self) -> Tensor | None:
        """The newest samples, shrunk (N, D), None before the first."""
        return self._last

    @last_samples.setter
    def last_samples(self, vectors: Tensor | None) -> None:
        self._last = vectors

    @torch.no_grad()
    def measure(self, observation: Observation) -> dict[str, float]:
        """Return the signals by their metric's name; waits for the device."""
        numbers = dict(self._measure_samples(observation))
        numbers |= dict(self._measure_memory(observation))
        numbers |= dict(self._measure_logits(observation))
        numbers |= dict(self._measure_labels(observation))
        numbers |= observation.numbers
        return {name: float(value) for name, value in numbers.items()}

    def _measure_samples(self, observation: Observation) -> Iterator[tuple[str, Tensor]]:
        real_images = self._references.training[: len(observation.samples)]
        real = self._references.real[: len(observation.samples)]
        shrunk = samples.shrink(observation.samples)
        apart = samples.mean_distance(real)
        yield DIVERSITY.name, samples.relative(samples.mean_distance(shrunk), apart)
        radius = samples.near_radius(real)
        kinds = samples.count_kinds(shrunk, radius)
        yield KINDS.name, kinds
        yield KIND_SHARE.name, kinds / samples.count_kinds(real, radius) * len(real) / len(shrunk)
        yield DUPLICATES.name, samples.duplicate_share(shrunk, radius)
        yield CONTRAST.name, samples.relative(samples.contrast(observation.samples), samples.contrast(real_images))
        yield REAL_DISTANCE.name, samples.energy_distance(shrunk, self._references.real)
        pattern = samples.grid_pattern(real_images)
        yield CHECKERBOARD.name, samples.relative(samples.grid_pattern(observation.samples), pattern)
        if observation.features is not None:
            fake_features, real_features = observation.features
            spread = samples.mean_distance(fake_features), samples.mean_distance(real_features)
            yield FEATURE_DIVERSITY.name, samples.relative(*spread)
        if self._last is not None:
            yield (
                MOVEMENT.name,
                samples.relative((shrunk - self._last.to(shrunk.device)).norm(dim=1).mean(), apart),
            )
        self._last = shrunk

    def _measure_memory(self, observation: Observation) -> Iterator[tuple[str, Tensor]]:
        nearest = samples.nearest_in(samples.shrink(observation.samples), self._references.vectors)
        median, rarely_less = self._references.copy_bounds
        yield NEAREST_TRAINING.name, samples.relative(nearest.median(), median)
        yield COPIES.name, (nearest < rarely_less).float().mean()

    def _measure_logits(self, observation: Observation) -> Iterator[tuple[str, Tensor]]:
        if not observation.logits:
            return
        real, fake = observation.logits["real"], observation.logits["fake"]
        yield DISCRIMINATOR_ACCURACY.name, best_accuracy(real, fake)
        yield TRAINING_LOGITS.name, real.mean()
        yield GENERATED_LOGITS.name, fake.mean()
        held_out = observation.logits.get("held_out")
        if held_out is not None:
            yield HELD_OUT_LOGITS.name, held_out.mean()
            gap = real.mean() - fake.mean()
            # Without a gap there is nothing that held-out images could lie between.
            if gap > 0:
                yield OVERFITTING.name, (real.mean() - held_out.mean()) / gap

    def _measure_labels(self, observation: Observation) -> Iterator[tuple[str, Tensor]]:
        if observation.labels is None or observation.relabelled is None:
            return
        shrunk, relabelled = samples.shrink(observation.samples), samples.shrink(observation.relabelled)
        change = (shrunk - relabelled).norm(dim=1).mean()
        yield LABEL_EFFECT.name, samples.relative(change, samples.mean_distance(self._references.real))
        classes = self._references.classes
        if classes is not None:
            agreement = samples.centroid_agreement(shrunk, observation.labels, classes.centroids)
            yield LABEL_AGREEMENT_SIGNAL.name, samples.relative(agreement, classes.own_agreement)


def best_accuracy(real: Tensor, fake: Tensor) -> Tensor:
    """Return the share of logits (N,) and (M,) that the best threshold tells apart, both sides of equal weight."""
    edges = torch.cat([real, fake]).sort().values
    told = (real >= edges[:, None]).float().mean(1) + (fake < edges[:, None]).float().mean(1)
    return (told.amax() / 2).clamp_min(0.5)
