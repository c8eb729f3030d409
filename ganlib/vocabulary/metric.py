"""The form of a metric's entry: name, label, unit, which way is better, and what it means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

Better = Literal["higher", "lower", ""]
Player = Literal["generator", "discriminator", ""]
# What a feature extractor says of an image: how likely each class is, a vector, or the place of its blob.
Answer = Literal["classes", "features", "points"]

_NUMBER = "{number}"
BETTER_WORDS: dict[Better, str] = {"higher": "higher is better", "lower": "lower is better", "": ""}


@dataclass(frozen=True)
class Metric:
    """One metric, or a family of metrics whose names differ in a number.

    name: as it is logged, `group/rest`. better: empty where neither way is. player: the one of the two whose
    number it is. real: what real images get, by data set. reference: what real images get whatever the data set,
    where the metric is measured against them. asked_as: the value of a spec's `evaluation.metrics`
    that logs it. answer: what it needs of the evaluation's extractor, whose figures only compare with its own;
    empty where it needs none.
    """

    name: str
    label: str
    meaning: str
    unit: str = ""
    better: Better = ""
    player: Player = ""
    real: Mapping[str, str] = field(default_factory=dict, hash=False)
    reference: float | None = None
    asked_as: str = ""
    answer: Answer | Literal[""] = ""

    @property
    def group(self) -> str:
        """The part of the name before the slash: `loss` of `loss/generator`."""
        return self.name.partition("/")[0]

    @property
    def is_share(self) -> bool:
        """Whether its values lie between 0 and 1, as what it means says."""
        return not self.unit and self.meaning.startswith("Share of")

    @property
    def heading(self) -> str:
        """The label with the unit, as a chart and an axis have it."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def sentence(self) -> str:
        """All that is known of the metric, for a person: meaning, direction, real images, and the raw name."""
        direction = f"{BETTER_WORDS[self.better].capitalize()}." if self.better else ""
        real = "; ".join(f"{number} on {name}" for name, number in self.real.items())
        if not real and self.reference is not None:
            real = f"{self.reference:g}"
        parts = (self.meaning, direction, f"Real images get {real}." if real else "", f"Logged as {self.name}.")
        return " ".join(part for part in parts if part)

    def matches(self, name: str) -> bool:
        """Whether the name is this metric's, or one of this family's."""
        return self.pattern.fullmatch(name) is not None

    def member(self, number: int | str) -> "Metric":
        """Return the metric of a family that has this number."""
        filled = {name: getattr(self, name).replace(_NUMBER, str(number)) for name in ("name", "label", "meaning")}
        return replace(self, **filled)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The names of the metric or of the family's members; the group is the number."""
        return re.compile(re.escape(self.name).replace(re.escape(_NUMBER), r"(\d+)"))
