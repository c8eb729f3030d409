"""What each player minimises."""

from typing import Literal

from ganlib.sections.base import Section


class LossesSpec(Section):
    """Which loss each player minimises (Goodfellow et al., 2014)."""

    discriminator: Literal["minimax"] = "minimax"
    generator: Literal["minimax", "non_saturating"] = "non_saturating"
