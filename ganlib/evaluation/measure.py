"""The form of an evaluation metric: the metric of the vocabulary, its inputs, and a pure function of them.

Each module of `ganlib/evaluation/metrics/` holds a tuple MEASURES, and the evaluator finds them there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from ganlib.vocabulary import Metric

# images: samples, uint8 (N, C, H, W). labels: int64 (N,), the classes that a conditional generator was asked for.
# probabilities (N, K), features (N, F): the answers of the evaluation classifier. real_features: (M, F) of
# held-out images, M at most N. least_share: the spec's number. neighbours: the NeighbourSearch of the sample grid.
# test, validation: the HeldOutErrors of the discriminator; validation only where the spec holds images out.
# Tensors lie on the CPU, but for the last three, and a metric is logged where all of its inputs are there.
Input = Literal[
    "images",
    "labels",
    "probabilities",
    "features",
    "real_features",
    "least_share",
    "neighbours",
    "test",
    "validation",
]
CLASSIFIER_INPUTS: frozenset[Input] = frozenset({"probabilities", "features", "real_features"})
# Inputs that are computed from a set of samples.
SAMPLE_INPUTS: frozenset[Input] = CLASSIFIER_INPUTS | {"images", "labels"}


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
        if self.metric.by_classifier != bool(CLASSIFIER_INPUTS & set(self.inputs)):
            raise ValueError(f"by_classifier of {self.metric.name} in ganlib/vocabulary/ does not fit its inputs")

    def measure(self, inputs: Mapping[Input, Any]) -> dict[str, float]:
        """Return the values by the names that they are logged under; none where an input is missing."""
        if not inputs.keys() >= set(self.inputs):
            return {}
        value = self.compute(*(inputs[name] for name in self.inputs))
        if isinstance(value, Tensor) and value.dim():
            return {self.metric.member(index).name: number for index, number in enumerate(value.tolist())}
        return {self.metric.name: value.item() if isinstance(value, Tensor) else value}
