"""What real images get: a line across a chart, where the vocabulary knows a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganlib.vocabulary import Metric

# Room beyond a line at an edge of the axis, as a share of the axis.
ROOM = 0.08


@dataclass(frozen=True)
class Reference:
    """What real images get of one metric; `word` tells it from the other lines of its chart."""

    value: float
    word: str


@dataclass(frozen=True)
class ReferenceView:
    """A line across the chart: its height as a percentage from the top, and its label."""

    at: str
    label: str


def find_dataset(spec: Mapping[str, Any]) -> str:
    """Return the name of a spec's data set, empty where it has none."""
    dataset = spec.get("dataset")
    return str(dataset.get("name", "")) if isinstance(dataset, Mapping) else str(dataset or "")


def find_real(metric: Metric, dataset: str) -> float | None:
    """Return what real images of this data set get, None where that is unknown or no single number."""
    try:
        return float(metric.real[dataset])
    except (KeyError, ValueError):
        return None if metric.real else metric.reference


def reach_references(axis: tuple[float, float], references: Sequence[Reference]) -> tuple[float, float]:
    """Return the range of an axis, wide enough for these lines: how far a curve is from them is what they show."""
    low, high = axis
    for reference in references:
        if reference.value < low:
            low = reference.value - ROOM * (high - reference.value) if reference.value else 0.0
        elif reference.value > high:
            high = reference.value + ROOM * (reference.value - low)
    return low, high


def show_references(references: Sequence[Reference], low: float, high: float) -> list[ReferenceView]:
    """Return the lines on an axis from low to high, each value once."""
    words: dict[float, list[str]] = {}
    for reference in references:
        words.setdefault(reference.value, []).append(reference.word)
    is_one = len(words) == 1
    return [
        ReferenceView(
            f"{100 * (high - value) / (high - low):.2f}%",
            "real images" if is_one else f"real images: {', '.join(filter(None, named))}",
        )
        for value, named in words.items()
    ]
