"""What each player minimises, and what the discriminator's outputs stand for."""

from itertools import chain
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from ganlib.spec.fields import Count, Float, Positive, Section

# The losses by name: beside each of the discriminator's those of the generator that belong to it. `none`: a
# classifier is trained without a GAN.
PARTNERS: dict[str, tuple[str, ...]] = {
    "minimax": ("minimax", "non_saturating"),
    "least_squares": ("least_squares",),
    "hinge": ("hinge",),
    "wasserstein": ("wasserstein",),
    "catgan": ("catgan",),
    "none": ("none",),
}

if TYPE_CHECKING:
    DiscriminatorLossName = str
    GeneratorLossName = str
else:
    DiscriminatorLossName = Literal[tuple(PARTNERS)]
    GeneratorLossName = Literal[tuple(dict.fromkeys(chain.from_iterable(PARTNERS.values())))]


class SemiSupervisedSpec(Section):
    """The discriminator also classifies: cross-entropy of labelled images, `weight` times, joins its loss.

    With K classes its outputs are, by `kind`:
    semi_supervised: K logits; how real an image is, is their log-sum-exp (Salimans et al., 2016, section 5).
    semi_supervised_fake_class: K logits and that of the class `fake` (Salimans et al., 2016; Odena, 2016).
    shared_trunk: one logit for real against fake, and K for the classes, on one trunk.
    """

    kind: Literal["semi_supervised", "semi_supervised_fake_class", "shared_trunk"]
    weight: Positive = 1.0


class AuxiliarySpec(Section):
    """ACGAN (Odena et al., 2017): one logit for real against fake, and K for the class, of real and fake images.

    `weight` times the cross-entropy of real images and of fakes, which are to show the class that the generator
    was given, joins the discriminator's loss; `generator_weight` times that of the fakes joins the generator's.
    """

    kind: Literal["auxiliary"] = "auxiliary"
    weight: Positive = 1.0
    generator_weight: Positive = 1.0


class CategoriesSpec(Section):
    """CatGAN (Springenberg, 2016): the outputs are the logits of `count` categories, and nothing else.

    count: the data set's classes unless given. weight: of the cross-entropy of labelled images; 0 trains without
    any label, and only then may count differ from the data set's classes.
    """

    kind: Literal["categories"] = "categories"
    count: Annotated[Count, Field(ge=2, le=10_000)] | None = None
    weight: Annotated[Float, Field(ge=0)] = 0.0


ClassesSpec = Annotated[SemiSupervisedSpec | AuxiliarySpec | CategoriesSpec, Field(discriminator="kind")]


class LossesSpec(Section):
    """Which loss each player minimises; the two must belong together."""

    discriminator: DiscriminatorLossName = "minimax"
    generator: GeneratorLossName = "non_saturating"
    classes: ClassesSpec | None = None

    @model_validator(mode="after")
    def check_partners(self) -> Self:
        """Each player's loss must be made for the other's, and for what the discriminator's outputs are."""
        partners = PARTNERS[self.discriminator]
        if self.generator not in partners:
            raise ValueError(
                f"@losses.generator@{self.generator} does not go with losses.discriminator: {self.discriminator}; "
                f"allowed beside it: {', '.join(partners)}"
            )
        if self.discriminator == "none" and self.classes is None:
            raise ValueError("@losses.classes@without a loss for real against fake, a classifier must be trained")
        if (self.discriminator == "catgan") != isinstance(self.classes, CategoriesSpec):
            raise ValueError(
                "@losses.classes@the loss catgan and classes: {kind: categories} belong together: "
                "give both or neither"
            )
        return self

    @property
    def uses_labels(self) -> bool:
        """Whether the discriminator's loss needs labels of real images."""
        return self.classes is not None and self.classes.weight > 0

    def output_count(self, class_count: int) -> int:
        """Return how many outputs the discriminator must have for a data set of so many classes."""
        match self.classes:
            case None:
                return 1
            case CategoriesSpec(count=count):
                return count or class_count
            case SemiSupervisedSpec(kind="semi_supervised"):
                return class_count
            case _:
                return class_count + 1
