"""Augmentation whose strength follows how far the discriminator overfits (Karras et al., 2020, sections 2 and 3).

The paper is "Training generative adversarial networks with limited data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ganlib.errors import Problem
from ganlib.spec.fields import Count, Float, Positive
from ganlib.techniques.base import OtherSections, Technique, TechniqueSection
from ganlib.vocabulary import AUGMENTATION_OVERFITTING, AUGMENTATION_PROBABILITY

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ganlib.losses.adversarial import DiscriminatorLoss
    from ganlib.networks.players import Networks


class AdaSpec(TechniqueSection):
    """Change all images that the discriminator sees, each change with a probability p that adapts (Karras, 2020).

    p begins at 0. After every `every` iterations it rises where r_t = E sign D(training images) is above `target`,
    and falls where it is below, so fast that 0 to 1 takes `speed` thousand real images. blit: mirrored, quarter
    turns, moved by whole pixels. geometry: scaled, turned, stretched, moved. colour: brightness, contrast,
    inverted luma, hue, saturation; unless given, of images with three channels.
    """

    position: ClassVar[int] = 9

    technique: Literal["ada"] = "ada"
    target: Annotated[Float, Field(gt=-1, lt=1)] = 0.6
    speed: Positive = 500
    every: Annotated[Count, Field(le=1000)] = 4
    blit: bool = True
    geometry: bool = True
    colour: bool | None = None

    @model_validator(mode="after")
    def check_any(self) -> Self:
        """Something must be changed."""
        if not (self.blit or self.geometry or self.colour is not False):
            raise ValueError("at least one of blit, geometry and colour must be true")
        return self

    def find_problem(self, field: str, spec: OtherSections) -> Problem | None:
        """Refuse data that are no pictures, and losses whose logits do not say what D takes for real.

        Points of a mixture are drawn as pictures, but a changed picture shows another point.
        """
        if spec.dataset.name == "gaussians":
            message = (
                "ada moves, turns and colours pictures, and those of gaussians show points: moved, they are "
                "others; use it with pictures, or instance_noise here"
            )
            return Problem(field, "", message)
        if spec.losses.facts.certain_logits is None:
            message = (
                "ada counts the training images that the discriminator calls real, and logits of "
                f"{spec.losses.discriminator} do not say that; use another loss, or diff_augment, which needs none"
            )
            return Problem(field, "", message)
        if self.colour is None and not (self.blit or self.geometry) and spec.dataset.shape[0] != 3:
            message = "nothing would be changed: colours are, unless asked for, with three channels alone; set it"
            return Problem(f"{field}.colour", "", message)
        return None

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return Ada(self, spec)


class Ada(Technique):
    """Changes on every image that D sees in either player's update, and the rule that moves their probability.

    It is moved by the number of real images since the last time, divided by 1,000 · `speed`, and stays between 0
    and 1: above 1 nothing would change but the time of the way back.
    """

    _signs: Tensor
    _seen: Tensor
    _overfitting: Tensor

    def __init__(self, section: AdaSpec, spec: OtherSections) -> None:
        from ganlib.networks.adaptive_augmentation import AdaptiveChanges

        channels, size, _ = spec.dataset.shape
        colour = channels == 3 if section.colour is None else section.colour
        self._section = section
        # Half way between real and generated: 0 for logits, 0.5 between the targets 1 and 0.
        self._boundary = sum(spec.losses.facts.certain_logits or (0.0, 0.0)) / 2
        self._changes = AdaptiveChanges(size, section.blit, section.geometry, colour)

    def wrap_discriminator(self, discriminator: nn.Module) -> nn.Module:
        """Return the discriminator behind the changes."""
        from ganlib.networks.layers import Before

        return Before(self._changes, discriminator)

    def start(self, networks: Networks) -> None:
        """Begin to count on the networks' device."""
        self._signs, self._seen, self._overfitting = (self._changes.probability.new_zeros(()) for _ in range(3))

    def choose_discriminator_loss(self, loss: DiscriminatorLoss) -> DiscriminatorLoss:
        """Return the same loss, which counts the real images that D calls real on its way."""

        def counted(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
            self._count(real_logits.detach())
            return loss(real_logits, fake_logits)

        return counted

    def _count(self, real_logits: Tensor) -> None:
        from ganlib.runtime.batch_sharding import batch_mean, global_count

        count = global_count(len(real_logits))
        # In place: a recorded step does it again each time.
        self._signs += batch_mean((real_logits - self._boundary).sign()) * count
        self._seen += count

    def after_iteration(self, networks: Networks, iteration: int) -> None:
        """Move the probability where it is due, without waiting for the device."""
        if iteration % self._section.every:
            return
        # Without an update of the discriminator nothing was seen, and nothing moves.
        self._overfitting.copy_((self._signs / self._seen.clamp(min=1)).where(self._seen > 0, self._overfitting))
        step = (self._overfitting - self._section.target).sign() * self._seen / (1000 * self._section.speed)
        self._changes.probability.add_(step).clamp_(0, 1)
        self._signs.zero_()
        self._seen.zero_()

    def metrics(self) -> dict[str, Tensor]:
        """Return the probability, and r_t of when it was last moved."""
        return {
            AUGMENTATION_PROBABILITY.name: self._changes.probability,
            AUGMENTATION_OVERFITTING.name: self._overfitting,
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Return what was counted since the probability was last moved; itself is among D's tensors."""
        return {"signs": self._signs, "seen": self._seen, "overfitting": self._overfitting}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Take the counts back."""
        for name, tensor in self.state_dict().items():
            tensor.copy_(tensors[name])
