"""How each player takes its steps."""

from typing import Annotated, Literal

from pydantic import Field

from ganlib.numbers import Fraction, Positive
from ganlib.sections.base import Section


class AdamSpec(Section):
    """Adam (Kingma and Ba, 2015)."""

    kind: Literal["adam"] = "adam"
    learning_rate: Annotated[Positive, Field(le=10)] = 2e-4
    betas: tuple[Annotated[Fraction, Field(lt=1)], Annotated[Fraction, Field(lt=1)]] = (0.5, 0.999)
    epsilon: Positive = 1e-8


class OptimisersSpec(Section):
    """One optimiser a player."""

    generator: AdamSpec = AdamSpec()
    discriminator: AdamSpec = AdamSpec()
