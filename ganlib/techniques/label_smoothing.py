"""One-sided label smoothing (Salimans et al., 2016, section 3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ganlib.errors import Problem
from ganlib.spec.fields import Float
from ganlib.techniques.base import OtherSections, Technique, TechniqueSection

if TYPE_CHECKING:
    from torch import Tensor

    from ganlib.losses.adversarial import DiscriminatorLoss


class LabelSmoothingSpec(TechniqueSection):
    """One-sided label smoothing (Salimans et al., 2016, section 3.4): real images have the target `real_target`.

    That is, D aims at it instead of 1; its target for fakes stays 0. Belongs to D's minimax loss.
    """

    position: ClassVar[int] = 2

    technique: Literal["label_smoothing"] = "label_smoothing"
    real_target: Annotated[Float, Field(gt=0, le=1)] = 0.9

    def find_problem(self, field: str, spec: OtherSections) -> Problem | None:
        """Refuse losses without targets."""
        loss = spec.losses.discriminator
        if loss != "minimax":
            message = f"label_smoothing changes the targets of losses.discriminator: minimax; {loss} has none"
            return Problem(field, "", message)
        return None

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return LabelSmoothing(self.real_target)


class LabelSmoothing(Technique):
    """Let D aim at `real_target` instead of 1 for real images; the target of fakes stays 0 (beta = 0).

    With alpha for the target, cross-entropy for a real logit is alpha · softplus(-logit) + (1 - alpha) ·
    softplus(logit). As softplus(logit) = softplus(-logit) + logit, that is minimax plus (1 - alpha) · logit.
    """

    def __init__(self, real_target: float) -> None:
        self._real_target = real_target

    def choose_discriminator_loss(self, loss: DiscriminatorLoss) -> DiscriminatorLoss:
        """Return the minimax loss with the other target."""

        def smoothed(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
            return loss(real_logits, fake_logits) + (1 - self._real_target) * real_logits.mean()

        return smoothed
