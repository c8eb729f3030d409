"""Every metric that Ganvas logs: name, label, unit, which way is better, and what it means (no torch).

A new metric is one constant in a module below. Pages, figures and comparisons show its label and its sentence; a
spec may ask for it where `asked_as` is given. A name with `{number}` stands for a family, as one for each class.
"""

import re
from functools import lru_cache

from ganlib.vocabulary import evaluation, signals, system, training
from ganlib.vocabulary.evaluation import *
from ganlib.vocabulary.metric import BETTER_WORDS as BETTER_WORDS
from ganlib.vocabulary.metric import Answer as Answer
from ganlib.vocabulary.metric import Better as Better
from ganlib.vocabulary.metric import Metric as Metric
from ganlib.vocabulary.metric import Player as Player
from ganlib.vocabulary.signals import *
from ganlib.vocabulary.system import *
from ganlib.vocabulary.training import *

_MAX_KNOWN = 4096

# Groups of metrics, in the order in which a page lists them, and what people call them.
LOSS = "loss"
EVALUATION = "eval"
SIGNALS = "signals"
GROUP_LABELS = {
    LOSS: "Losses",
    "logits": "Mean logits",
    EVALUATION: "Evaluation",
    SIGNALS: "Signals",
    "accuracy": "Accuracy while training",
    "transfer": "Classifier transfer",
    "updates": "Updates an iteration",
    "augmentation": "Augmentation",
    "speed": "Speed",
    "system": "Machine",
}

METRICS: tuple[Metric, ...] = tuple(
    value
    for module in (training, evaluation, signals, system)
    for value in vars(module).values()
    if isinstance(value, Metric)
)
# The values that a spec's `evaluation.metrics` may have, and what each needs of the evaluation's extractor.
EVALUATION_METRICS = tuple(dict.fromkeys(metric.asked_as for metric in METRICS if metric.asked_as))
ANSWERS_NEEDED = {metric.asked_as: metric.answer for metric in METRICS if metric.asked_as}


@lru_cache(maxsize=_MAX_KNOWN)
def find_metric(name: str) -> Metric:
    """Return the metric of this name; one that is not known has a label made of its name, and no direction.

    The label of a metric in none of the groups below is its name.
    """
    for metric in METRICS:
        match = metric.pattern.fullmatch(name)
        if match:
            return metric.member(match[1]) if match.lastindex else metric
    return Metric(name, _make_label(name), "A metric that Ganvas itself does not log.")


def label_group(group: str) -> str:
    """Return what people call a group of metrics; one of somebody's own is called as it is."""
    return GROUP_LABELS.get(group, group)


def _make_label(name: str) -> str:
    group, _, rest = name.partition("/")
    # Whoever logs other groups, or none, knows these names as they are.
    if not rest or group not in GROUP_LABELS:
        return name
    said = _say(rest)
    return said if group == EVALUATION else f"{_say(group)}: {said[0].lower()}{said[1:]}"


def _say(words: str) -> str:
    text = re.sub(r"[_.\s]+", " ", words).strip()
    return text[:1].upper() + text[1:] or words
