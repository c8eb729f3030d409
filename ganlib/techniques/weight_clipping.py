"""Bound D's slope by clipping its weights (Arjovsky et al., 2017, algorithm 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ganlib.spec.fields import Positive
from ganlib.techniques.base import OtherSections, Technique, TechniqueSection

if TYPE_CHECKING:
    from torch import Tensor

    from ganlib.networks.players import Networks


class WeightClippingSpec(TechniqueSection):
    """Clip each of the discriminator's weights to [−bound, bound] after each update (Arjovsky et al., 2017)."""

    needs_gan: ClassVar[bool] = False
    position: ClassVar[int] = 3

    technique: Literal["weight_clipping"] = "weight_clipping"
    bound: Positive = 0.01

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return WeightClipping(self.bound)


class WeightClipping(Technique):
    """Clip all of the discriminator's parameters, biases among them, after each of its updates."""

    def __init__(self, bound: float) -> None:
        self._bound = bound

    def after_discriminator_update(self, networks: Networks) -> None:
        """Clip to [-bound, bound]."""
        import torch

        parameters: list[Tensor] = list(networks.discriminator.parameters())
        with torch.no_grad():
            torch._foreach_clamp_min_(parameters, -self._bound)
            torch._foreach_clamp_max_(parameters, self._bound)
