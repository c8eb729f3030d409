"""One iteration of training: the maths, without cadence and reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from ganlib.networks.batch_norm import frozen_statistics
from ganlib.runtime.batch_sharding import all_items, average_gradients, dealt, mean_of_shares
from ganlib.runtime.device import autocast
from ganlib.techniques import StepBatch
from ganlib.training.data import Chosen, RealBatch
from ganlib.training.discriminator_step import DiscriminatorUpdate, draw_fakes, update_discriminator
from ganlib.training.optimisers import set_learning_rate
from ganlib.training.state import TrainingState


@dataclass(frozen=True)
class StepResult:
    """What each player's last update of an iteration computed, on the device; D's logits are (N,).

    Without a GAN, where only a classifier is trained, there is neither a generator's loss nor logits; without
    classes there is neither their loss nor the share of labelled images that were told right.
    """

    discriminator_loss: Tensor
    generator_loss: Tensor | None
    real_logits: Tensor | None
    fake_logits: Tensor | None
    class_loss: Tensor | None
    labelled_accuracy: Tensor | None


def train_step(state: TrainingState) -> StepResult:
    """Update the discriminator, then the generator on fresh latents (Goodfellow et al., 2014, algorithm 1).

    The rhythm says how often each is updated; each of the discriminator's updates sees a new batch.
    """
    state.iteration += 1
    set_learning_rate(state.discriminator_optimiser, state.spec.optimisers.discriminator, state.iteration)
    set_learning_rate(state.generator_optimiser, state.spec.optimisers.generator, state.iteration)
    chosen = [state.data.choose(batch) for batch in state.rhythm.batches(state.iteration)]
    update = partial(update_players, state)
    with dealt(state.share):
        result = update(chosen) if state.graph is None else state.graph.run(update, chosen)
    state.rhythm.end_iteration(state.iteration, result.discriminator_loss, result.generator_loss)
    for technique in state.techniques:
        technique.after_iteration(state.networks, state.iteration)
    return result


def update_players(state: TrainingState, chosen: Sequence[Chosen]) -> StepResult:
    """Update the discriminator once for each batch of chosen images, then the generator."""
    for one in chosen:
        real, labelled = state.data.gather(one)
        update = update_discriminator(state, real, labelled)
    generator_loss = None
    if state.has_gan:
        for _ in range(state.rhythm.generator_steps):
            generator_loss = _update_generator(state, real)
    return _result(update, generator_loss)


def _update_generator(state: TrainingState, real: RealBatch) -> Tensor:
    # Gradients flow through the discriminator, but its own are not wanted here: a quarter of the pass saved.
    state.networks.discriminator.requires_grad_(False)
    with autocast(state.device, state.precision), frozen_statistics(state.real_statistics):
        fakes = draw_fakes(state)
        outputs = state.networks.judge(fakes.images, fakes.labels)
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
        discriminator_loss=mean_of_shares(update.loss),
        generator_loss=None if generator_loss is None else mean_of_shares(generator_loss),
        real_logits=None if update.real_logits is None else all_items(update.real_logits),
        fake_logits=None if update.fake_logits is None else all_items(update.fake_logits),
        class_loss=None if update.class_loss is None else mean_of_shares(update.class_loss),
        labelled_accuracy=None if update.labelled_accuracy is None else mean_of_shares(update.labelled_accuracy),
    )
