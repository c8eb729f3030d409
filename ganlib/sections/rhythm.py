"""How the number of updates follows the losses."""

from typing import Annotated

from pydantic import Field

from ganlib.numbers import Count, Positive
from ganlib.sections.base import Section

# The generator's losses that, with their partners, never fall below 0, so that their ratio has a logarithm.
POSITIVE_LOSSES = ("non_saturating", "least_squares")


class AdaptiveAdvantageSpec(Section):
    """Hold log(generator loss / discriminator loss) near 0: the player that is behind gets more updates.

    Every `every` iterations the losses are summed up; where the logarithm is above `tolerance` the generator is
    behind, below −tolerance the discriminator. It gets one update an iteration more, or the other one less if that
    one had several; nobody ever makes more than `most`.
    """

    every: Annotated[Count, Field(le=10_000)] = 10
    most: Annotated[Count, Field(ge=2, le=1000)] = 8
    tolerance: Annotated[Positive, Field(le=10)] = 0.25
