"""One update of the discriminator: real against fake, and the classes of labelled images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from ganlib.losses.heads import class_loss
from ganlib.networks.normalisation import frozen_statistics
from ganlib.runtime.batch_sharding import average_gradients, local_items
from ganlib.runtime.device import autocast
from ganlib.runtime.random_streams import draw_labels
from ganlib.techniques.base import StepBatch
from ganlib.training.data import RealBatch, draw_latents
from ganlib.training.state import TrainingState


@dataclass(frozen=True)
class Fakes:
    """Latents (N, L), labels int64 (N,) for a conditional generator, and images (N, C, H, W)."""

    latents: Tensor
    labels: Tensor | None
    images: Tensor


def draw_fakes(state: TrainingState) -> Fakes:
    """Draw latents, and labels where the generator takes them, and make one batch of images."""
    spec = state.spec
    latents = local_items(draw_latents(spec.latents, spec.batch_size, state.latents_generator))
    labels = None
    if state.fixed_labels is not None:
        labels = local_items(draw_labels(spec.dataset.class_count, spec.batch_size, state.latents_generator))
    return Fakes(latents, labels, state.networks.generate(latents, labels))


@dataclass(frozen=True)
class DiscriminatorUpdate:
    """One update's numbers, on the device: losses (), logits (N,), accuracy of labelled images ().

    adversarial_loss: the part of the loss that real against fake decides. penalty: the sum of the techniques'
    terms.
    """

    loss: Tensor
    real_logits: Tensor | None = None
    fake_logits: Tensor | None = None
    class_loss: Tensor | None = None
    labelled_accuracy: Tensor | None = None
    adversarial_loss: Tensor | None = None
    penalty: Tensor | None = None


def update_discriminator(state: TrainingState, real: RealBatch, labelled: RealBatch | None) -> DiscriminatorUpdate:
    """Take one step of the discriminator's optimiser.

    labelled: the batch whose labels may be used, where that is not the batch of real images itself.
    """
    if state.has_gan:
        update = _compare_real_and_fake(state, real, labelled)
    else:
        update = _classify(state, real if labelled is None else labelled)
    state.discriminator_optimiser.zero_grad(set_to_none=True)
    update.loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(state.networks.discriminator)
    state.discriminator_optimiser.step()
    for technique in state.techniques:
        technique.after_discriminator_update(state.networks)
    return _detached(update)


def _compare_real_and_fake(
    state: TrainingState, real: RealBatch, labelled: RealBatch | None
) -> DiscriminatorUpdate:
    head = state.networks.head
    with autocast(state.device, state.precision):
        with torch.no_grad():
            fakes = draw_fakes(state)
        real_outputs, fake_outputs, labelled_outputs = _outputs_of(state, real, fakes, labelled)
        batch = StepBatch(
            real_images=real.images,
            fake_images=fakes.images,
            latents=fakes.latents,
            real_logits=head.realness(real_outputs),
            fake_logits=head.realness(fake_outputs),
            iteration=state.iteration,
            real_labels=real.labels,
            fake_labels=fakes.labels,
        )
        loss = adversarial_loss = state.discriminator_loss(head.source(real_outputs), head.source(fake_outputs))
        classes = None
        labels = (labelled or real).labels
        if labelled_outputs is not None and labels is not None:
            classes = _classify_labelled(state, labelled_outputs, labels)
            loss = loss + state.class_weight * classes.loss
        if state.generator_class_loss is not None and fakes.labels is not None:
            loss = loss + state.class_weight * class_loss(head.class_logits(fake_outputs), fakes.labels)
        penalty = _sum_penalties(state, batch)
    return DiscriminatorUpdate(
        loss if penalty is None else loss + penalty,
        batch.real_logits,
        batch.fake_logits,
        classes.class_loss if classes else None,
        classes.labelled_accuracy if classes else None,
        adversarial_loss,
        penalty,
    )


def _classify(state: TrainingState, labelled: RealBatch) -> DiscriminatorUpdate:
    """Train on the classes alone, as the same network without a GAN would be."""
    if labelled.labels is None:
        raise ValueError("A classifier needs labels to train on.")
    with autocast(state.device, state.precision):
        update = _classify_labelled(state, state.networks.discriminate(labelled.images, None), labelled.labels)
        nothing = torch.empty(0, device=state.device)
        batch = StepBatch(labelled.images, nothing, nothing, None, nothing, state.iteration, labelled.labels)
        penalty = _sum_penalties(state, batch)
    loss = update.loss if penalty is None else update.loss + penalty
    return replace(update, loss=loss, penalty=penalty)


def _classify_labelled(state: TrainingState, outputs: Tensor, labels: Tensor) -> DiscriminatorUpdate:
    """Return the loss of the classes alone, and the accuracy."""
    logits = state.networks.head.class_logits(outputs)
    loss = class_loss(logits, labels)
    accuracy = (logits.detach().argmax(1) == labels).float().mean()
    return DiscriminatorUpdate(loss, class_loss=loss, labelled_accuracy=accuracy)


def _sum_penalties(state: TrainingState, batch: StepBatch) -> Tensor | None:
    return add_terms(technique.discriminator_penalty(state.networks, batch) for technique in state.techniques)


def add_terms(terms: Iterable[Tensor | None]) -> Tensor | None:
    """Return the sum of those that there are; None where there is none."""
    given = [term for term in terms if term is not None]
    return sum(given[1:], start=given[0]) if given else None


def _outputs_of(
    state: TrainingState, real: RealBatch, fakes: Fakes, labelled: RealBatch | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return outputs (N, M) of real, fake and labelled images, from one pass where no item depends on another.

    Where all labels may be used the labelled images are the real ones; without classes there are none.
    """
    networks = state.networks
    if state.joins_passes:
        images = [real.images, fakes.images.to(real.images.dtype)] + ([labelled.images] if labelled else [])
        labels = _joined([real.labels, fakes.labels] + ([labelled.labels] if labelled else []))
        parts = torch.split(networks.discriminate(torch.cat(images), labels), [len(part) for part in images])
        real_outputs, fake_outputs, labelled_outputs = parts[0], parts[1], parts[2] if labelled else None
    else:
        real_outputs = networks.discriminate(real.images, real.labels)
        with frozen_statistics(state.real_statistics):
            fake_outputs = networks.discriminate(fakes.images, fakes.labels)
        labelled_outputs = networks.discriminate(labelled.images, labelled.labels) if labelled else None
    if labelled_outputs is None and state.class_weight:
        labelled_outputs = real_outputs
    return real_outputs, fake_outputs, labelled_outputs


def _joined(labels: Sequence[Tensor | None]) -> Tensor | None:
    """Return all labels, or None where some are unknown: then the discriminator takes none."""
    known = [part for part in labels if part is not None]
    return torch.cat(known) if len(known) == len(labels) else None


def _detached(update: DiscriminatorUpdate) -> DiscriminatorUpdate:
    numbers = {field.name: getattr(update, field.name) for field in fields(update)}
    return replace(update, **{name: number.detach() for name, number in numbers.items() if number is not None})
