"""Which of a run's checkpoints is the best judged one (no torch)."""

import math
from collections.abc import Mapping

from ganlib.vocabulary import CLASSIFIER_SCORE, FRECHET_DISTANCE, Metric

# Of those that a run logs, the first decides.
BEST_METRICS: tuple[Metric, ...] = (FRECHET_DISTANCE, CLASSIFIER_SCORE)


def choose_best(metric: Metric, figures: Mapping[int, float]) -> int | None:
    """Return the iteration with the best figure, the first of equals; None where no figure is finite.

    figures: of each checkpoint's iteration the metric's value there, or the last one before.
    """
    sign = -1 if metric.better == "higher" else 1
    finite = [(sign * value, iteration) for iteration, value in figures.items() if math.isfinite(value)]
    return min(finite)[1] if finite else None
