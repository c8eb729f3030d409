"""What a run does beyond its losses; each technique fills slots of the trainer."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ganlib.spec.fields import Count, Float, Natural, Positive, Section


class EmaGeneratorSpec(Section):
    """Draw samples from an exponential moving average of the generator's weights.

    average ← decay · average + (1 − decay) · weights after each iteration, from iteration `start` on.
    """

    technique: Literal["ema_generator"] = "ema_generator"
    decay: Annotated[Float, Field(ge=0, lt=1)] = 0.999
    start: Natural = 0


class EmaDiscriminatorSpec(Section):
    """Measure the discriminator's classes with an exponential moving average of its weights.

    average ← decay · average + (1 − decay) · weights after each iteration, from iteration `start` on. Salimans et
    al. (2016) judge their semi-supervised classifiers so, with a decay of 0.9999 (their released code).
    """

    technique: Literal["ema_discriminator"] = "ema_discriminator"
    decay: Annotated[Float, Field(ge=0, lt=1)] = 0.9999
    start: Natural = 0


class FeatureMatchingSpec(Section):
    """Let the generator match the mean features of real images (Salimans et al., 2016, section 3.1).

    layer: which of the discriminator's layers gives the features, counted from 0; without it, the last one before
    the output layer. mode: `replace` the generator's loss, as the paper does, or `add` to it. distance: of the two
    means, the sum of squares or the sum of absolute differences over all features.
    """

    technique: Literal["feature_matching"] = "feature_matching"
    layer: Natural | None = None
    mode: Literal["replace", "add"] = "replace"
    distance: Literal["squared_l2", "l1"] = "squared_l2"
    weight: Positive = 1.0


class HistoricalAveragingSpec(Section):
    """Add weight · ‖θ − mean of all former θ‖² to each player's loss (Salimans et al., 2016, section 3.3)."""

    technique: Literal["historical_averaging"] = "historical_averaging"
    weight: Positive = 1.0


class InstanceNoiseSpec(Section):
    """Add Gaussian noise to all images that the discriminator sees (Sønderby et al., 2017).

    Its deviation falls in a straight line from `std` in the first iteration to 0 after `until` iterations.
    """

    technique: Literal["instance_noise"] = "instance_noise"
    std: Positive = 0.1
    until: Count


class DiffAugmentSpec(Section):
    """Change all images that the discriminator sees, real and fake, at random (Zhao et al., 2020).

    colour: brightness by up to ±0.5, saturation by 0 to 2, contrast by 0.5 to 1.5. translation: by up to an eighth
    of the size. cutout: a square of half the size becomes 0. Gradients flow through all of them.
    """

    technique: Literal["diff_augment"] = "diff_augment"
    colour: bool = True
    translation: bool = True
    cutout: bool = True

    @model_validator(mode="after")
    def check_any(self) -> Self:
        """Something must be changed."""
        if not (self.colour or self.translation or self.cutout):
            raise ValueError("at least one of colour, translation and cutout must be true")
        return self


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
    EmaGeneratorSpec
    | LabelSmoothingSpec
    | WeightClippingSpec
    | GradientPenaltySpec
    | R1Spec
    | FeatureMatchingSpec
    | HistoricalAveragingSpec
    | InstanceNoiseSpec
    | DiffAugmentSpec
    | EmaDiscriminatorSpec,
    Field(discriminator="technique"),
]
