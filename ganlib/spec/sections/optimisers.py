"""Optimisers, learning rates, and update counts that follow the losses."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ganlib.spec.fields import Count, Float, Fraction, Natural, Positive, Section

LearningRate = Annotated[Positive, Field(le=10)]
Momentum = Annotated[Fraction, Field(lt=1)]


class ConstantSchedule(Section):
    """The learning rate stays as it is."""

    kind: Literal["constant"] = "constant"


class LinearSchedule(Section):
    """The learning rate goes in a straight line to `factor` times itself between two iterations, and stays there.

    With factor 0 this is the decay that Salimans et al. (2016) train CIFAR-10 with.
    """

    kind: Literal["linear"] = "linear"
    from_iteration: Natural = 0
    to_iteration: Count
    factor: Annotated[Float, Field(ge=0, le=1000)] = 0

    @model_validator(mode="after")
    def check_order(self) -> Self:
        """The line must have a length."""
        if self.from_iteration >= self.to_iteration:
            raise ValueError("from_iteration must be less than to_iteration")
        return self


ScheduleSpec = Annotated[ConstantSchedule | LinearSchedule, Field(discriminator="kind")]


class _Optimiser(Section):
    schedule: ScheduleSpec = ConstantSchedule()


class AdamSpec(_Optimiser):
    """Adam (Kingma and Ba, 2015)."""

    kind: Literal["adam"] = "adam"
    learning_rate: LearningRate = 2e-4
    betas: tuple[Momentum, Momentum] = (0.5, 0.999)
    epsilon: Positive = 1e-8


class SgdSpec(_Optimiser):
    """Stochastic gradient descent; v ← momentum · v + gradient, weights ← weights − learning_rate · v."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: LearningRate
    momentum: Momentum = 0


class RmspropSpec(_Optimiser):
    """RMSprop (Tieleman and Hinton, 2012): steps divided by the root of the gradient's running mean square.

    square ← alpha · square + (1 − alpha) · gradient², weights ← weights − learning_rate · v with
    v ← momentum · v + gradient / (√square + epsilon).
    """

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: LearningRate = 5e-5
    alpha: Momentum = 0.99
    epsilon: Positive = 1e-8
    momentum: Momentum = 0


def assume_adam(value: Any) -> Any:
    """Allow `{learning_rate: 1e-3}` for Adam with that learning rate."""
    return {"kind": "adam", **value} if isinstance(value, dict) else value


OptimiserSpec = Annotated[
    Annotated[AdamSpec | SgdSpec | RmspropSpec, Field(discriminator="kind")],
    BeforeValidator(assume_adam),
]


class OptimisersSpec(Section):
    """One optimiser a player."""

    generator: OptimiserSpec = AdamSpec()
    discriminator: OptimiserSpec = AdamSpec()


class AdaptiveAdvantageSpec(Section):
    """Hold log(generator loss / discriminator loss) near 0: the player that is behind gets more updates.

    Every `every` iterations the losses are summed up; where the logarithm is above `tolerance` the generator is
    behind, below −tolerance the discriminator. It gets one update an iteration more, or the other one less if that
    one had several; nobody ever makes more than `most`.
    """

    every: Annotated[Count, Field(le=10_000)] = 10
    most: Annotated[Count, Field(ge=2, le=1000)] = 8
    tolerance: Annotated[Positive, Field(le=10)] = 0.25
