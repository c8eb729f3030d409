"""One iteration of training: the maths, without cadence and reports.

The discriminator's update comes first, as in an iteration: real against fake, and the classes of labelled images.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor

from ganlib.losses.heads import class_loss
from ganlib.networks.normalisation import frozen_statistics
from ganlib.runtime.batch_sharding import (
    average_gradients,
    gather_items,
    is_sharded,
    local_items,
    mean_over_processes,
    sharded,
)
from ganlib.runtime.device import autocast
from ganlib.runtime.random_streams import draw_labels
from ganlib.techniques.base import StepBatch
from ganlib.training.data import BatchIndices, RealBatch, draw_latents
from ganlib.training.optimisers import set_learning_rate
from ganlib.training.state import StepResult, TrainingState


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


def train_step(state: TrainingState) -> StepResult:
    """Update the discriminator, then the generator on fresh latents (Goodfellow et al., 2014, algorithm 1).

    The update schedule says how often each is updated; each of the discriminator's updates sees a new batch.
    """
    state.iteration += 1
    set_learning_rate(state.discriminator_optimiser, state.optimisers.discriminator, state.iteration)
    set_learning_rate(state.generator_optimiser, state.optimisers.generator, state.iteration)
    batches = [state.data.choose(batch) for batch in state.update_schedule.batches(state.iteration)]
    update = partial(update_players, state)
    with sharded(state.shard):
        result = update(batches) if state.graph is None else state.graph.run(update, batches)
    # A classifier alone has no adversarial loss.
    discriminator_loss = result.discriminator_adversarial_loss
    state.update_schedule.end_iteration(
        state.iteration,
        result.discriminator_loss if discriminator_loss is None else discriminator_loss,
        result.generator_adversarial_loss,
    )
    for technique in state.techniques:
        technique.after_iteration(state.networks, state.iteration)
    return result


def update_players(state: TrainingState, batches: Sequence[BatchIndices]) -> StepResult:
    """Update the discriminator once for each batch of real images, then the generator."""
    for indices in batches:
        real, labelled = state.data.gather(indices)
        update = update_discriminator(state, real, labelled)
    generator_update = None
    if state.has_gan:
        for _ in range(state.update_schedule.generator_steps):
            generator_update = _update_generator(state, real)
    return _result(update, generator_update)


@dataclass(frozen=True)
class GeneratorUpdate:
    """One update's losses (), on the device; the adversarial one also where the loss does not hold it."""

    loss: Tensor
    adversarial_loss: Tensor
    penalty: Tensor | None


def _update_generator(state: TrainingState, real: RealBatch) -> GeneratorUpdate:
    # Gradients flow through the discriminator, but its own are not needed here: a quarter of the pass saved.
    state.networks.discriminator.requires_grad_(False)
    with autocast(state.device, state.precision), frozen_statistics(state.real_statistics):
        fakes = draw_fakes(state)
        outputs = state.networks.discriminate(fakes.images, fakes.labels)
        head = state.networks.head
        batch = StepBatch(
            real_images=real.images,
            fake_images=fakes.images,
            latents=fakes.latents,
            real_logits=None,
            fake_logits=head.realness(outputs),
            iteration=state.iteration,
            real_labels=real.labels,
            fake_labels=fakes.labels,
        )
        loss = adversarial_loss = state.generator_loss(head.source(outputs))
        if state.generator_loss is not state.adversarial_generator_loss:
            adversarial_loss = state.adversarial_generator_loss(head.source(outputs.detach()))
        if state.generator_class_loss is not None and fakes.labels is not None:
            loss = loss + state.generator_class_loss(outputs, fakes.labels)
        penalty = add_terms(technique.generator_penalty(state.networks, batch) for technique in state.techniques)
        loss = loss if penalty is None else loss + penalty
    state.generator_optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(state.networks.generator)
    state.generator_optimiser.step()
    state.networks.discriminator.requires_grad_(True)
    return GeneratorUpdate(loss.detach(), adversarial_loss.detach(), None if penalty is None else penalty.detach())


def _result(update: DiscriminatorUpdate, generator: GeneratorUpdate | None) -> StepResult:
    result = StepResult(
        discriminator_loss=update.loss,
        generator_loss=generator.loss if generator else None,
        real_logits=None,
        fake_logits=None,
        class_loss=update.class_loss,
        labelled_accuracy=update.labelled_accuracy,
        discriminator_adversarial_loss=update.adversarial_loss,
        generator_adversarial_loss=generator.adversarial_loss if generator else None,
        discriminator_penalty=update.penalty,
        generator_penalty=generator.penalty if generator else None,
    )
    if is_sharded():
        result = replace(result, **_means_over_processes(result))
    return replace(
        result,
        real_logits=None if update.real_logits is None else gather_items(update.real_logits),
        fake_logits=None if update.fake_logits is None else gather_items(update.fake_logits),
    )


def _means_over_processes(result: StepResult) -> dict[str, Tensor]:
    """Return the means of all numbers, from one exchange between the processes."""
    named = {each.name: getattr(result, each.name) for each in fields(result)}
    numbers = {name: number for name, number in named.items() if number is not None}
    means = mean_over_processes(torch.stack([number.float() for number in numbers.values()]))
    return dict(zip(numbers, means.unbind(), strict=True))
