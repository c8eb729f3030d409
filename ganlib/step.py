"""One iteration of training: the maths, without cadence and reports."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlib.datasets import gather_images
from ganlib.hardware import autocast
from ganlib.optimisers import set_learning_rate
from ganlib.randomness import draw_latents
from ganlib.state import TrainingState
from ganlib.techniques import StepBatch


@dataclass(frozen=True)
class StepResult:
    """What each player's last update of an iteration computed, on the device; D's logits are (N,)."""

    discriminator_loss: Tensor
    generator_loss: Tensor
    real_logits: Tensor
    fake_logits: Tensor


def train_step(state: TrainingState) -> StepResult:
    """Update the discriminator, then the generator on fresh latents (Goodfellow et al., 2014, algorithm 1).

    The rhythm says how often each is updated; each of the discriminator's updates sees a new batch.
    """
    state.iteration += 1
    set_learning_rate(state.discriminator_optimiser, state.spec.optimisers.discriminator, state.iteration)
    set_learning_rate(state.generator_optimiser, state.spec.optimisers.generator, state.iteration)
    for batch in state.rhythm.batches(state.iteration):
        real_images = gather_images(state.images, state.data_order.indices(batch))
        discriminator_loss, real_logits, fake_logits = _update_discriminator(state, real_images)
    for _ in range(state.rhythm.generator_steps):
        generator_loss = _update_generator(state, real_images)
    state.rhythm.end_iteration(state.iteration, discriminator_loss, generator_loss)
    for technique in state.techniques:
        technique.after_iteration(state.networks, state.iteration)
    return StepResult(discriminator_loss, generator_loss, real_logits, fake_logits)


def _update_discriminator(state: TrainingState, real_images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    latents = _draw(state)
    with autocast(state.device, state.precision):
        with torch.no_grad():
            fake_images = state.networks.generator(latents)
        real_logits, fake_logits = _judge_both(state, real_images, fake_images)
        batch = StepBatch(real_images, fake_images, latents, real_logits, fake_logits, state.iteration)
        loss = state.discriminator_loss(real_logits, fake_logits)
        for technique in state.techniques:
            penalty = technique.discriminator_penalty(state.networks, batch)
            loss = loss if penalty is None else loss + penalty
    state.discriminator_optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    state.discriminator_optimiser.step()
    for technique in state.techniques:
        technique.after_discriminator_update(state.networks)
    return loss.detach(), real_logits.detach(), fake_logits.detach()


def _update_generator(state: TrainingState, real_images: Tensor) -> Tensor:
    latents = _draw(state)
    # Gradients flow through the discriminator, but its own are not wanted here: a quarter of the pass saved.
    state.networks.discriminator.requires_grad_(False)
    with autocast(state.device, state.precision):
        fake_images = state.networks.generator(latents)
        fake_logits = _judge(state, fake_images)
        batch = StepBatch(real_images, fake_images, latents, None, fake_logits, state.iteration)
        loss = state.generator_loss(fake_logits)
        for technique in state.techniques:
            penalty = technique.generator_penalty(state.networks, batch)
            loss = loss if penalty is None else loss + penalty
    state.generator_optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    state.generator_optimiser.step()
    state.networks.discriminator.requires_grad_(True)
    return loss.detach()


def _judge_both(state: TrainingState, real_images: Tensor, fake_images: Tensor) -> tuple[Tensor, Tensor]:
    """Return float32 logits (N,) of real and of fake images, from one pass where no item depends on another."""
    if not state.joins_passes:
        return _judge(state, real_images), _judge(state, fake_images)
    both = torch.cat([real_images, fake_images.to(real_images.dtype)])
    real_logits, fake_logits = _judge(state, both).chunk(2)
    return real_logits, fake_logits


def _judge(state: TrainingState, images: Tensor) -> Tensor:
    logits: Tensor = state.networks.discriminator(images)
    return logits.squeeze(1).float()


def _draw(state: TrainingState) -> Tensor:
    return draw_latents(state.spec.latents, state.spec.batch_size, state.latents_generator)
