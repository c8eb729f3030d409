"""A recipe's training as a loop written by hand, which records nothing.

Networks, losses, techniques and optimisers are those that the trainer would build, so that only the loop differs:
who draws the data, and all that is reported, drawn and stored on the way.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ganlib.losses.heads import class_loss
from ganlib.networks.normalisation import frozen_statistics
from ganlib.runtime.device import autocast
from ganlib.spec.job import JobSpec
from ganlib.techniques.base import StepBatch
from ganlib.training.data import RealBatch
from ganlib.training.state import TrainingState, build_state


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
        schedule, generator_loss = self.parts.update_schedule, None
        for _ in range(schedule.discriminator_steps):
            real = self._draw_real()
            discriminator_loss = self._update_discriminator(real, self._draw_labelled())
        if self.parts.has_gan:
            for _ in range(schedule.generator_steps):
                generator_loss = self._update_generator(real)
        schedule.end_iteration(self.iteration, discriminator_loss, generator_loss)
        for technique in self.parts.techniques:
            technique.after_iteration(self.parts.networks, self.iteration)

    def _update_discriminator(self, real: RealBatch, labelled: RealBatch | None) -> Tensor:
        parts = self.parts
        with autocast(parts.device, parts.precision):
            loss = (
                self._loss_of_gan(real, labelled) if parts.has_gan else self._loss_of_classifier(labelled or real)
            )
        parts.discriminator_optimiser.zero_grad()
        loss.backward()
        parts.discriminator_optimiser.step()
        for technique in parts.techniques:
            technique.after_discriminator_update(parts.networks)
        return loss.detach()

    def _loss_of_gan(self, real: RealBatch, labelled: RealBatch | None) -> Tensor:
        parts, head = self.parts, self.parts.networks.head
        with torch.no_grad():
            latents, fake = self._draw_fake()
        on_real, on_fake, on_labelled = self._judge_all(real, fake, labelled)
        loss = parts.discriminator_loss(head.source(on_real), head.source(on_fake))
        if parts.class_weight:
            labels = _known((labelled or real).labels)
            loss = loss + parts.class_weight * class_loss(head.class_logits(on_labelled), labels)
        if parts.generator_class_loss is not None and fake.labels is not None:
            loss = loss + parts.class_weight * class_loss(head.class_logits(on_fake), fake.labels)
        seen = StepBatch(
            real.images, fake.images, latents, head.realness(on_real), head.realness(on_fake), self.iteration,
            real.labels, fake.labels,
        )  # fmt: skip
        return self._with_penalties(loss, "discriminator_penalty", seen)

    def _loss_of_classifier(self, labelled: RealBatch) -> Tensor:
        networks, none = self.parts.networks, torch.empty(0)
        outputs = networks.discriminate(labelled.images, None)
        loss = class_loss(networks.head.class_logits(outputs), _known(labelled.labels))
        seen = StepBatch(labelled.images, none, none, None, none, self.iteration, labelled.labels)
        return self._with_penalties(loss, "discriminator_penalty", seen)

    def _update_generator(self, real: RealBatch) -> Tensor:
        parts, networks = self.parts, self.parts.networks
        networks.discriminator.requires_grad_(False)
        with autocast(parts.device, parts.precision), frozen_statistics(parts.real_statistics):
            latents, fake = self._draw_fake()
            outputs = networks.discriminate(fake.images, fake.labels)
            loss = parts.generator_loss(networks.head.source(outputs))
            if parts.generator_class_loss is not None and fake.labels is not None:
                loss = loss + parts.generator_class_loss(outputs, fake.labels)
            seen = StepBatch(
                real.images, fake.images, latents, None, networks.head.realness(outputs), self.iteration,
                real.labels, fake.labels,
            )  # fmt: skip
            loss = self._with_penalties(loss, "generator_penalty", seen)
        parts.generator_optimiser.zero_grad()
        loss.backward()
        parts.generator_optimiser.step()
        networks.discriminator.requires_grad_(True)
        return loss.detach()

    def _judge_all(
        self, real: RealBatch, fake: RealBatch, labelled: RealBatch | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return outputs of real, fake and labelled images; without a budget of labels the real ones have them."""
        networks = self.parts.networks
        if self.parts.joins_passes:
            batches = [real, fake, *([labelled] if labelled else [])]
            labels = [batch.labels for batch in batches if batch.labels is not None]
            images = torch.cat([batch.images.float() for batch in batches])
            outputs = networks.discriminate(images, torch.cat(labels) if len(labels) == len(batches) else None)
            parts = outputs.split([len(batch.images) for batch in batches])
            return parts[0], parts[1], parts[2 if labelled else 0]
        on_real = networks.discriminate(real.images, real.labels)
        with frozen_statistics(self.parts.real_statistics):
            on_fake = networks.discriminate(fake.images, fake.labels)
        return on_real, on_fake, networks.discriminate(labelled.images, labelled.labels) if labelled else on_real

    def _with_penalties(self, loss: Tensor, slot: str, seen: StepBatch) -> Tensor:
        for technique in self.parts.techniques:
            penalty = getattr(technique, slot)(self.parts.networks, seen)
            loss = loss if penalty is None else loss + penalty
        return loss

    def _draw_real(self) -> RealBatch:
        data = self.parts.data
        chosen = torch.randint(len(data.images), (self.spec.batch_size,))
        return self._gather(chosen, with_labels=data.labels is not None and data.labelled is None)

    def _draw_labelled(self) -> RealBatch | None:
        labelled = self.parts.data.labelled
        if labelled is None:
            return None
        return self._gather(labelled[torch.randint(len(labelled), (self.spec.batch_size,))], with_labels=True)

    def _gather(self, chosen: Tensor, with_labels: bool) -> RealBatch:
        data = self.parts.data
        images = data.images[chosen].to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)
        return RealBatch(images, _known(data.labels)[chosen] if with_labels else None)

    def _draw_fake(self) -> tuple[Tensor, RealBatch]:
        spec, labels = self.spec, None
        size = (spec.batch_size, spec.latents.size)
        latents = torch.rand(size) * 2 - 1 if spec.latents.distribution == "uniform" else torch.randn(size)
        if self.parts.fixed_labels is not None:
            labels = torch.randint(spec.dataset.class_count, (spec.batch_size,))
        return latents, RealBatch(self.parts.networks.generate(latents, labels), labels)


def _known(labels: Tensor | None) -> Tensor:
    if labels is None:
        raise ValueError("A classifier needs labels to train on.")
    return labels
