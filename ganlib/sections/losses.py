"""What each player minimises."""

from typing import Literal, Self

from pydantic import model_validator

from ganlib.sections.base import Section

# The generator's losses that belong to each of the discriminator's.
PARTNERS: dict[str, tuple[str, ...]] = {
    "minimax": ("minimax", "non_saturating"),
    "least_squares": ("least_squares",),
    "hinge": ("hinge",),
    "wasserstein": ("wasserstein",),
}


class LossesSpec(Section):
    """Which loss each player minimises; the two must belong together."""

    discriminator: Literal["minimax", "least_squares", "hinge", "wasserstein"] = "minimax"
    generator: Literal["minimax", "non_saturating", "least_squares", "hinge", "wasserstein"] = "non_saturating"

    @model_validator(mode="after")
    def check_partners(self) -> Self:
        """Each player's loss must be made for the other's."""
        partners = PARTNERS[self.discriminator]
        if self.generator not in partners:
            raise ValueError(
                f"@losses.generator@{self.generator} does not go with losses.discriminator: {self.discriminator}; "
                f"allowed beside it: {', '.join(partners)}"
            )
        return self
