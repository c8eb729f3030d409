"""The form of an evaluation metric: the metric of the vocabulary, its inputs, and a pure function of them.

Each module of `ganlib/evaluation/metrics/` holds a tuple MEASURES, and the evaluator finds them there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from ganlib.vocabulary import Answer, Metric

# images: samples, uint8 (N, C, H, W). labels: int64 (N,), the classes that a conditional generator was asked for.
# probabilities (N, K), features (N, F), points (N, 2): what the extractor says of samples; points are NaN where a
# picture is no blob. real_probabilities (M, K), real_features (M, F): of held-out images, M at most N. mixture:
# the Mixture that points are of. least_share: the number of the spec. neighbours: the NeighbourSearch of the grid.
# test, validation: the HeldOutErrors of the discriminator; validation only where the spec holds images out.
# Tensors lie on the CPU, but for the last three, and a metric is logged where all of its inputs are there.
Input = Literal[
    "images",
    "labels",
    "probabilities",
    "features",
    "points",
    "real_probabilities",
    "real_features",
    "mixture",
    "least_share",
    "neighbours",
    "test",
    "validation",
]
# What an input needs of the extractor.
ANSWERS_BY_INPUT: Mapping[Input, Answer] = {
    "probabilities": "classes",
    "real_probabilities": "classes",
    "points": "points",
    "mixture": "points",
    "features": "features",
    "real_features": "features",
}
REAL_INPUTS: frozenset[Input] = frozenset({"real_features", "real_probabilities"})
# Inputs that are computed from a set of samples.
SAMPLE_INPUTS: frozenset[Input] = frozenset({*ANSWERS_BY_INPUT, "images", "labels"})


@dataclass(frozen=True)
class Measure:
    """Computes one metric; of a family (`{number}` in its name) one for each value, from 0 on.

    compute: takes the inputs in their order and returns a number, or a tensor (K,) for a family.
    """

    metric: Metric
    inputs: tuple[Input, ...]
    compute: Callable[..., Tensor | float]

    def __post_init__(self) -> None:
        """Refuse what the vocabulary, by which a spec is checked, says otherwise; raises ValueError."""
        if not self.metric.asked_as:
            raise ValueError(f"{self.metric.name} needs asked_as in ganlib/vocabulary/, or no spec can ask for it")
        needed = [answer for name, answer in ANSWERS_BY_INPUT.items() if name in self.inputs]
        # What tells classes gives features too, so the first is what an extractor must give.
        if self.metric.answer != (needed[0] if needed else ""):
            raise ValueError(f"answer of {self.metric.name} in ganlib/vocabulary/ does not fit its inputs")

    def measure(self, inputs: Mapping[Input, Any]) -> dict[str, float]:
        """Return the values by the names that they are logged under; none where an input is missing."""
        if not inputs.keys() >= set(self.inputs):
            return {}
        value = self.compute(*(inputs[name] for name in self.inputs))
        if isinstance(value, Tensor) and value.dim():
            return {self.metric.member(index).name: number for index, number in enumerate(value.tolist())}
        return {self.metric.name: value.item() if isinstance(value, Tensor) else value}
