"""Losses of both players, the facts about each, and the kinds of classifying discriminators (no torch)."""

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from ganlib.spec.fields import Count, Float, Positive, Section


@dataclass(frozen=True)
class LossFacts:
    """Facts about one of the discriminator's losses and its partners.

    partners: the generator's losses that belong to it. positive: those of the partners that never fall below 0, as
    the discriminator's loss beside them, so that the ratio of the two has a logarithm. certain_logits: mean logits
    of real and of fake images beyond which this loss is nearly as low as it gets; None where logits do not show
    it. balanced_losses: bounds of the discriminator's loss between which neither player has won; None where it has
    no fixed point. is_critic: mean real logits minus mean fake ones estimate a distance. takes_categories: it
    takes logits (N, K) of categories, not one logit an image.
    """

    partners: tuple[str, ...]
    positive: tuple[str, ...] = ()
    certain_logits: tuple[float, float] | None = None
    balanced_losses: tuple[float, float] | None = None
    is_critic: bool = False
    takes_categories: bool = False


# The losses by name: the spec's Literals, and all that the rest of the code has to know of each. `none`: a
# classifier is trained without a GAN. Certain logits: sigmoid gives 95 % and 5 %, least squares' targets are
# nearly reached, hinge's margin is met. Minimax is 2 ln 2 = 1.386 where the discriminator cannot tell, below 0.1
# where it is more than 95 % certain of both, and above 1.6 where it is wrong more often than a coin.
LOSSES: dict[str, LossFacts] = {
    "minimax": LossFacts(
        ("minimax", "non_saturating"),
        positive=("non_saturating",),
        certain_logits=(2.94, -2.94),
        balanced_losses=(0.1, 1.6),
    ),
    "least_squares": LossFacts(("least_squares",), positive=("least_squares",), certain_logits=(0.95, 0.05)),
    "hinge": LossFacts(("hinge",), certain_logits=(1.0, -1.0)),
    "wasserstein": LossFacts(("wasserstein",), is_critic=True),
    "catgan": LossFacts(("catgan",), takes_categories=True),
    "none": LossFacts(("none",)),
}

PARTNERS: dict[str, tuple[str, ...]] = {name: facts.partners for name, facts in LOSSES.items()}
POSITIVE_LOSSES = tuple(chain.from_iterable(facts.positive for facts in LOSSES.values()))

if TYPE_CHECKING:
    DiscriminatorLossName = str
    GeneratorLossName = str
else:
    DiscriminatorLossName = Literal[tuple(LOSSES)]
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
    """The loss that each player minimises; the two must belong together."""

    discriminator: DiscriminatorLossName = "minimax"
    generator: GeneratorLossName = "non_saturating"
    classes: ClassesSpec | None = None

    @model_validator(mode="after")
    def check_partners(self) -> Self:
        """Each player's loss must be made for the other's, and for what the discriminator's outputs are."""
        partners = self.facts.partners
        if self.generator not in partners:
            raise ValueError(
                f"@losses.generator@{self.generator} does not go with losses.discriminator: {self.discriminator}; "
                f"allowed beside it: {', '.join(partners)}"
            )
        if self.discriminator == "none" and self.classes is None:
            raise ValueError("@losses.classes@without a loss for real against fake, a classifier must be trained")
        if self.facts.takes_categories != isinstance(self.classes, CategoriesSpec):
            raise ValueError(
                "@losses.classes@the loss catgan and classes: {kind: categories} belong together: "
                "give both or neither"
            )
        return self

    @property
    def facts(self) -> LossFacts:
        """Facts about the discriminator's loss and its partners."""
        return LOSSES[self.discriminator]

    @property
    def has_gan(self) -> bool:
        """Whether there is a GAN at all; if not, only a classifier is trained."""
        return self.discriminator != "none"

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
