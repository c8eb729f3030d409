"""What a run does beyond its losses; each technique fills slots of the trainer."""

from typing import Annotated, Literal

from pydantic import Field

from ganlib.numbers import Float, Natural
from ganlib.sections.base import Section


class EmaGeneratorSpec(Section):
    """Draw samples from an exponential moving average of the generator's weights.

    average ← decay · average + (1 − decay) · weights after each iteration, from iteration `start` on.
    """

    technique: Literal["ema_generator"] = "ema_generator"
    decay: Annotated[Float, Field(ge=0, lt=1)] = 0.999
    start: Natural = 0


TechniqueSpec = EmaGeneratorSpec  # a union, discriminated by `technique`, once there is a second one
