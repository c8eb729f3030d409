"""Which metrics a run's page shows in charts of their own, beside the losses."""

import math
import re
from collections.abc import Iterable

from api.schemas import Curve
from dashboard.views.chart_frame import CurveChart
from dashboard.views.curves import NARROW_POINTS, RunAxis, build_curve_chart

# Metrics that belong into one chart, each with its word; every other `eval/…` has a chart of its own.
TOGETHER: dict[str, dict[str, str]] = {
    "Log of generator loss / discriminator loss": {"loss/log_ratio": ""},
    "Mean logits": {"logits/real": "real images", "logits/fake": "generated images"},
    "Classifier on the discriminator's layers": {
        "transfer/accuracy": "pretrained",
        "transfer/scratch_accuracy": "from scratch",
    },
    "Accuracy of the classes told": {
        "accuracy/labelled": "labelled, while training",
        "eval/test_accuracy": "test",
        "eval/validation_accuracy": "validation",
    },
}
# Names that are not simply their words.
_WORDS = {"frechet_distance": "Fréchet distance"}
# Said by another chart, or too many for one.
LEFT_OUT = re.compile(r"eval/(class_shares_\d+|\w+_errors)")


def measured_metrics(names: Iterable[str]) -> list[str]:
    """Return those of a run's metrics that have a chart, in the order of the charts."""
    known = set(names)
    together = [name for chart in TOGETHER.values() for name in chart]
    alone = [name for name in sorted(known) if name.startswith("eval/") and not LEFT_OUT.fullmatch(name)]
    return [name for name in [*together, *(name for name in alone if name not in together)] if name in known]


def build_measures(curves: list[Curve], axis: RunAxis) -> list[CurveChart]:
    """Return the charts of a run's measured metrics; none without a point."""
    by_name = {curve.name: curve for curve in curves if any(math.isfinite(value) for value in curve.values)}
    charts = {heading: words for heading, words in TOGETHER.items() if words.keys() & by_name.keys()}
    together = {name for words in TOGETHER.values() for name in words}
    for name in measured_metrics(by_name):
        if name not in together:
            charts[_say(name)] = {name: ""}
    return [
        build_curve_chart(
            heading,
            {name: word for name, word in words.items() if name in by_name},
            by_name.values(),
            axis,
            NARROW_POINTS,
        )
        for heading, words in charts.items()
    ]


def _say(name: str) -> str:
    """eval/classifier_score as Classifier score."""
    short = name.partition("/")[2]
    return _WORDS.get(short, short.replace("_", " ").capitalize())
