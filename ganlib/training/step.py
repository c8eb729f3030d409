"""One iteration of training: the maths, without cadence and reports."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor

from ganlib.networks.normalisation import frozen_statistics
from ganlib.runtime.batch_sharding import (
    average_gradients,
    gather_items,
    is_sharded,
    mean_over_processes,
    sharded,
)
from ganlib.runtime.device import autocast
from ganlib.techniques.base import StepBatch
from ganlib.training.data import BatchIndices, RealBatch
from ganlib.training.discriminator_step import (
    DiscriminatorUpdate,
    add_terms,
    draw_fakes,
    update_discriminator,
)
from ganlib.training.optimisers import set_learning_rate
from ganlib.training.state import StepResult, TrainingState


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
