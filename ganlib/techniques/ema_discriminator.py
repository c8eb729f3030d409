"""Measure classes with a moving average of the discriminator's weights (Salimans et al., 2016, released code)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ganlib.errors import Problem
from ganlib.spec.fields import Float, Natural
from ganlib.techniques.base import OtherSections, Technique, TechniqueSection
from ganlib.techniques.ema_generator import WeightAverage

if TYPE_CHECKING:
    from torch import nn

    from ganlib.networks.players import Networks


class EmaDiscriminatorSpec(TechniqueSection):
    """Measure the discriminator's classes with an exponential moving average of its weights.

    average ← decay · average + (1 − decay) · weights after each iteration, from iteration `start` on. Salimans et
    al. (2016) measure their semi-supervised classifiers so, with a decay of 0.9999 (their released code).
    """

    needs_gan: ClassVar[bool] = False
    position: ClassVar[int] = 10

    technique: Literal["ema_discriminator"] = "ema_discriminator"
    decay: Annotated[Float, Field(ge=0, lt=1)] = 0.9999
    start: Natural = 0

    def find_problem(self, field: str, spec: OtherSections) -> Problem | None:
        """Refuse a discriminator without classes."""
        if spec.losses.classes is None:
            return Problem(field, "", "ema_discriminator is for measuring classes: give losses.classes")
        return None

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return EmaDiscriminator(self.decay, self.start)


class EmaDiscriminator(WeightAverage):
    """Measure classes with the discriminator's average."""

    def averaged(self, networks: Networks) -> nn.Module:
        """Return the discriminator."""
        return networks.discriminator

    def choose_classifier(self, discriminator: nn.Module) -> nn.Module:
        """Return the averaged discriminator."""
        return self._average
