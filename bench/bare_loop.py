"""A recipe's training as a loop written by hand, which records nothing.

Networks, losses, techniques and optimisers are those that the trainer would build, so that what differs is the
loop alone: who draws the data, and all that is told, drawn and kept on the way.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ganlib.hardware import autocast
from ganlib.spec import JobSpec
from ganlib.state import TrainingState, build_state
from ganlib.techniques import StepBatch


@dataclass
class BareLoop:
    """One recipe's training; `step` is one iteration."""

    spec: JobSpec
    parts: TrainingState = field(init=False)
    iteration: int = 0

    def __post_init__(self) -> None:
        self.parts = build_state(self.spec, torch.device("cpu"))

    def step(self) -> None:
        """Update the discriminator, then the generator, as often as the recipe says."""
        self.iteration += 1
        rhythm = self.parts.rhythm
        for _ in range(rhythm.discriminator_steps):
            real = self._draw_real()
            discriminator_loss = self._update_discriminator(real)
        for _ in range(rhythm.generator_steps):
            generator_loss = self._update_generator(real)
        rhythm.end_iteration(self.iteration, discriminator_loss, generator_loss)
        for technique in self.parts.techniques:
            technique.after_iteration(self.parts.networks, self.iteration)

    def _update_discriminator(self, real: Tensor) -> Tensor:
        parts, latents = self.parts, self._draw_latents()
        with autocast(parts.device, parts.precision):
            with torch.no_grad():
                fake = parts.networks.generator(latents)
            if parts.joins_passes:
                real_logits, fake_logits = self._judge(torch.cat([real, fake.to(real.dtype)])).chunk(2)
            else:
                real_logits, fake_logits = self._judge(real), self._judge(fake)
            loss = parts.discriminator_loss(real_logits, fake_logits)
            seen = StepBatch(real, fake, latents, real_logits, fake_logits, self.iteration)
            for technique in parts.techniques:
                penalty = technique.discriminator_penalty(parts.networks, seen)
                loss = loss if penalty is None else loss + penalty
        parts.discriminator_optimiser.zero_grad()
        loss.backward()
        parts.discriminator_optimiser.step()
        for technique in parts.techniques:
            technique.after_discriminator_update(parts.networks)
        return loss.detach()

    def _update_generator(self, real: Tensor) -> Tensor:
        parts, latents = self.parts, self._draw_latents()
        parts.networks.discriminator.requires_grad_(False)
        with autocast(parts.device, parts.precision):
            fake = parts.networks.generator(latents)
            fake_logits = self._judge(fake)
            loss = parts.generator_loss(fake_logits)
            seen = StepBatch(real, fake, latents, None, fake_logits, self.iteration)
            for technique in parts.techniques:
                penalty = technique.generator_penalty(parts.networks, seen)
                loss = loss if penalty is None else loss + penalty
        parts.generator_optimiser.zero_grad()
        loss.backward()
        parts.generator_optimiser.step()
        parts.networks.discriminator.requires_grad_(True)
        return loss.detach()

    def _judge(self, images: Tensor) -> Tensor:
        return self.parts.networks.discriminator(images).squeeze(1).float()

    def _draw_real(self) -> Tensor:
        chosen = torch.randint(len(self.parts.images), (self.spec.batch_size,))
        return self.parts.images[chosen].to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)

    def _draw_latents(self) -> Tensor:
        size = (self.spec.batch_size, self.spec.latents.size)
        return torch.rand(size) * 2 - 1 if self.spec.latents.distribution == "uniform" else torch.randn(size)
