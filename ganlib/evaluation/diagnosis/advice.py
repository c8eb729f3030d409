"""What the literature did about each fault, as changes of a spec."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

JsonObject = Mapping[str, Any]


@dataclass(frozen=True)
class Advice:
    """One thing to try. title: a few words for a button. text: why it helps, a sentence. source: the paper.

    changes: fields of the spec by their path (`optimisers.generator.learning_rate`) and their new values, as
    `ganvas submit --set` takes them; a list, such as `techniques`, is given whole.
    """

    title: str
    text: str
    source: str
    changes: dict[str, Any]


# A remedy looks at a spec as JSON has it, defaults included; it returns None where it does not apply.
Remedy = Callable[[JsonObject], Advice | None]


def advise(remedies: tuple[Remedy, ...], spec: JsonObject) -> list[Advice]:
    """Return the advice that applies to a spec, the most promising first."""
    return [advice for remedy in remedies if (advice := remedy(spec)) is not None]
