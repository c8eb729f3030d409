"""The diagnosis of a run: how often its signals are measured, and what is done about a fault."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from ganlib.events import Action
from ganlib.spec.fields import Count, Section

# Measured less often than this, signals cost next to nothing beside the iterations between them.
_AT_LEAST = 100
# Fields that a run may change on its way: they decide how it goes on, not what its networks are.
CHANGEABLE = (
    "optimisers.generator.learning_rate",
    "optimisers.discriminator.learning_rate",
    "discriminator_steps",
    "generator_advantage",
)


class DiagnosisSpec(Section):
    """Measure signals each `every` iterations and look for faults; it changes nothing of the training.

    every: without it, each sample grid, but at least 100 iterations apart. enabled: false measures nothing.
    """

    enabled: bool = True
    every: Count | None = None

    def cadence(self, sample_every: int) -> int:
        """Return after how many iterations signals are measured; without `every` a multiple of sample_every."""
        if self.every is not None:
            return self.every
        return -(-_AT_LEAST // sample_every) * sample_every


class ReactionSpec(Section):
    """What is done about one fault.

    action: `notify` says so, as is done of any fault; `stop` ends the run after a checkpoint; `rollback` goes back
    to the last checkpoint from before the fault and on from there with `change`, at most `at_most` times, after
    that it stops. change: fields by their path, and their new values.
    """

    action: Action
    change: Annotated[dict[str, JsonValue], Field(max_length=len(CHANGEABLE), default_factory=dict)]
    at_most: Annotated[Count, Field(le=10)] = 1

    @model_validator(mode="after")
    def check_change(self) -> Self:
        """A rollback without a change would meet the same fault; nothing else changes anything."""
        if self.action == "rollback" and not self.change:
            raise ValueError(f"a rollback needs change: one of {', '.join(CHANGEABLE)}, and its new value")
        if self.action != "rollback" and self.change:
            raise ValueError(f"only a rollback changes fields; action is {self.action}")
        unknown = sorted(self.change.keys() - set(CHANGEABLE))
        if unknown:
            raise ValueError(f"{unknown[0]} cannot be changed on the way; allowed: {', '.join(CHANGEABLE)}")
        return self


def _expand_action(value: Any) -> Any:
    return {"action": value} if isinstance(value, str) else value


Reaction = Annotated[ReactionSpec, BeforeValidator(_expand_action)]
