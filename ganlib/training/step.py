"""One iteration of training: the maths, without cadence and reports."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from ganlib.networks.normalisation import frozen_statistics
from ganlib.runtime.batch_sharding import average_gradients, gather_items, mean_over_processes, sharded
from ganlib.runtime.device import autocast
from ganlib.techniques.base import StepBatch
from ganlib.training.data import BatchIndices, RealBatch
from ganlib.training.discriminator_step import DiscriminatorUpdate, draw_fakes, update_discriminator
from ganlib.training.optimisers import set_learning_rate
from ganlib.training.state import StepResult, TrainingState


def train_step(state: TrainingState) -> StepResult:
    """Update the discriminator, then the generator on fresh latents (Goodfellow et al., 2014, algorithm 1).

    The update schedule says how often each is updated; each of the discriminator's updates sees a new batch.
    """
    state.iteration += 1
    set_learning_rate(state.discriminator_optimiser, state.spec.optimisers.discriminator, state.iteration)
    set_learning_rate(state.generator_optimiser, state.spec.optimisers.generator, state.iteration)
    batches = [state.data.choose(batch) for batch in state.update_schedule.batches(state.iteration)]
    update = partial(update_players, state)
    with sharded(state.shard):
        result = update(batches) if state.graph is None else state.graph.run(update, batches)
    state.update_schedule.end_iteration(state.iteration, result.discriminator_loss, result.generator_loss)
    for technique in state.techniques:
        technique.after_iteration(state.networks, state.iteration)
    return result


def update_players(state: TrainingState, batches: Sequence[BatchIndices]) -> StepResult:
    """Update the discriminator once for each batch of real images, then the generator."""
    for indices in batches:
        real, labelled = state.data.gather(indices)
        update = update_discriminator(state, real, labelled)
    generator_loss = None
    if state.has_gan:
        for _ in range(state.update_schedule.generator_steps):
            generator_loss = _update_generator(state, real)
    return _result(update, generator_loss)


def _update_generator(state: TrainingState, real: RealBatch) -> Tensor:
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
        loss = state.generator_loss(head.source(outputs))
        if state.generator_class_loss is not None and fakes.labels is not None:
            loss = loss + state.generator_class_loss(outputs, fakes.labels)
        for technique in state.techniques:
            penalty = technique.generator_penalty(state.networks, batch)
            loss = loss if penalty is None else loss + penalty
    state.generator_optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(state.networks.generator)
    state.generator_optimiser.step()
    state.networks.discriminator.requires_grad_(True)
    return loss.detach()


def _result(update: DiscriminatorUpdate, generator_loss: Tensor | None) -> StepResult:
    return StepResult(
        discriminator_loss=mean_over_processes(update.loss),
        generator_loss=None if generator_loss is None else mean_over_processes(generator_loss),
        real_logits=None if update.real_logits is None else gather_items(update.real_logits),
        fake_logits=None if update.fake_logits is None else gather_items(update.fake_logits),
        class_loss=None if update.class_loss is None else mean_over_processes(update.class_loss),
        labelled_accuracy=None
        if update.labelled_accuracy is None
        else mean_over_processes(update.labelled_accuracy),
    )
