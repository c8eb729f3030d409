"""Differentiable augmentation of all images that the discriminator sees (Zhao et al., 2020, section 3.2).

Real and fake images are changed alike, and gradients flow back through the change, so the generator learns to make
images that look real once changed, not changed images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import model_validator

from ganlib.techniques.base import OtherSections, Technique, TechniqueSection

if TYPE_CHECKING:
    from torch import nn


class DiffAugmentSpec(TechniqueSection):
    """Change all images that the discriminator sees, real and fake, at random (Zhao et al., 2020).

    colour: brightness by up to ±0.5, saturation by 0 to 2, contrast by 0.5 to 1.5. translation: by up to an eighth
    of the size. cutout: a square of half the size becomes 0. Gradients flow through all of them.
    """

    needs_gan: ClassVar[bool] = False
    position: ClassVar[int] = 9

    technique: Literal["diff_augment"] = "diff_augment"
    colour: bool = True
    translation: bool = True
    cutout: bool = True

    @model_validator(mode="after")
    def check_any(self) -> Self:
        """Something must be changed."""
        if not (self.colour or self.translation or self.cutout):
            raise ValueError("at least one of colour, translation and cutout must be true")
        return self

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return DiffAugment(self)


class DiffAugment(Technique):
    """Changes on every image that D sees in either player's update."""

    def __init__(self, section: DiffAugmentSpec) -> None:
        from ganlib.networks.augmentation import RandomChanges

        self._changes = RandomChanges(section.colour, section.translation, section.cutout)

    def wrap_discriminator(self, discriminator: nn.Module) -> nn.Module:
        """Return the discriminator behind the changes."""
        from ganlib.networks.layers import Before

        return Before(self._changes, discriminator)
