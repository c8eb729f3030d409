"""Blur the difference between real and fake images by noise that fades (Sønderby et al., 2017, section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ganlib.spec.fields import Count, Positive
from ganlib.techniques.base import OtherSections, Technique, TechniqueSection

if TYPE_CHECKING:
    from torch import nn

    from ganlib.networks.players import Networks


class InstanceNoiseSpec(TechniqueSection):
    """Add Gaussian noise to all images that the discriminator sees (Sønderby et al., 2017).

    Its deviation falls in a straight line from `std` in the first iteration to 0 after `until` iterations.
    """

    needs_gan: ClassVar[bool] = False
    position: ClassVar[int] = 8

    technique: Literal["instance_noise"] = "instance_noise"
    std: Positive = 0.1
    until: Count

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return InstanceNoise(self.std, self.until)


class InstanceNoise(Technique):
    """Noise on every image that D sees in either player's update: std · max(0, 1 − (iteration − 1)/until)."""

    def __init__(self, std: float, until: int) -> None:
        from ganlib.networks.augmentation import FadingNoise

        self._std = std
        self._until = until
        self._noise = FadingNoise(std)

    def wrap_discriminator(self, discriminator: nn.Module) -> nn.Module:
        """Return the discriminator behind the noise."""
        from ganlib.networks.layers import Before

        return Before(self._noise, discriminator)

    def after_iteration(self, networks: Networks, iteration: int) -> None:
        """Set the deviation of the next iteration."""
        self._noise.std.fill_(self._std * max(0.0, 1 - iteration / self._until))
