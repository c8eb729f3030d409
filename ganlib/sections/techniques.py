"""What a run does beyond its losses; each technique fills slots of the trainer."""

from typing import Annotated, Literal

from pydantic import Field

from ganlib.numbers import Count, Float, Natural, Positive
from ganlib.sections.base import Section


class EmaGeneratorSpec(Section):
    """Draw samples from an exponential moving average of the generator's weights.

    average ← decay · average + (1 − decay) · weights after each iteration, from iteration `start` on.
    """

    technique: Literal["ema_generator"] = "ema_generator"
    decay: Annotated[Float, Field(ge=0, lt=1)] = 0.999
    start: Natural = 0


class LabelSmoothingSpec(Section):
    """One-sided label smoothing (Salimans et al., 2016, section 3.4): real images are judged `real_target`.

    That is, D aims at it instead of 1; its target for fakes stays 0. Belongs to D's minimax loss.
    """

    technique: Literal["label_smoothing"] = "label_smoothing"
    real_target: Annotated[Float, Field(gt=0, le=1)] = 0.9


class WeightClippingSpec(Section):
    """Clip each of the discriminator's weights to [−bound, bound] after each update (Arjovsky et al., 2017)."""

    technique: Literal["weight_clipping"] = "weight_clipping"
    bound: Positive = 0.01


class GradientPenaltySpec(Section):
    """Pull the norm of D's slope to 1 between real and fake images (Gulrajani et al., 2017).

    Adds weight · mean (‖∇D(x̂)‖ − 1)² to the discriminator's loss. Batch norm in the discriminator is refused.
    """

    technique: Literal["gradient_penalty"] = "gradient_penalty"
    weight: Positive = 10


class R1Spec(Section):
    """Keep D's slope at real images low: adds gamma/2 · mean ‖∇D(x)‖² to its loss (Mescheder et al., 2018).

    Only in every `every`-th iteration, and then as many times stronger (Karras et al., 2020, appendix B).
    """

    technique: Literal["r1"] = "r1"
    gamma: Positive = 10
    every: Annotated[Count, Field(le=1000)] = 1


TechniqueSpec = Annotated[
    EmaGeneratorSpec | LabelSmoothingSpec | WeightClippingSpec | GradientPenaltySpec | R1Spec,
    Field(discriminator="technique"),
]
