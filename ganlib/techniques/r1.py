"""Keep D's slope at real images low (R1 of Mescheder et al., 2018, equation 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ganlib.errors import Problem
from ganlib.spec.fields import Count, Positive
from ganlib.techniques.base import OtherSections, StepBatch, Technique, TechniqueSection
from ganlib.techniques.gradient_penalty import find_slope_problem, slopes_of

if TYPE_CHECKING:
    from torch import Tensor

    from ganlib.networks.players import Networks


class R1Spec(TechniqueSection):
    """Keep D's slope at real images low: adds gamma/2 · mean ‖∇D(x)‖² to its loss (Mescheder et al., 2018).

    Only in every `every`-th iteration, and then as many times stronger (Karras et al., 2020, appendix B).
    """

    adds_to_discriminator_loss: ClassVar[bool] = True
    position: ClassVar[int] = 5

    technique: Literal["r1"] = "r1"
    gamma: Positive = 10
    every: Annotated[Count, Field(le=1000)] = 1

    def find_problem(self, field: str, spec: OtherSections) -> Problem | None:
        """Refuse a discriminator without one logit, and a recorded step that would always hold the penalty."""
        if spec.speed.cuda_graphs and self.every > 1:
            message = (
                "speed.cuda_graphs replays the same penalties each time; set this to 1, or use one or the other"
            )
            return Problem(f"{field}.every", "", message)
        return find_slope_problem(self.technique, field, spec)

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return R1(self.gamma, self.every)


class R1(Technique):
    """Add gamma/2 · mean ‖∇D(x)‖² over the real images in every n-th iteration, there n times as strong."""

    def __init__(self, gamma: float, every: int = 1) -> None:
        self._gamma = gamma
        self._every = every

    def discriminator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor | None:
        """Return the penalty, or None between the iterations in which it is due."""
        if batch.iteration % self._every:
            return None
        slopes = slopes_of(lambda points: networks.realness(points, batch.real_labels), batch.real_images)
        squares = slopes.square().sum(dim=1)
        return self._gamma / 2 * self._every * squares.mean()
