"""Every metric that Ganvas logs: name, label, unit, which way is better, and what it means (no torch).

A new metric is one constant below. Pages, figures and comparisons show its label and its sentence; a spec may ask
for it where `asked_as` is given. A name with `{number}` stands for a family, such as one metric for each class.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Literal

Better = Literal["higher", "lower", ""]
Player = Literal["generator", "discriminator", ""]

_NUMBER = "{number}"
BETTER_WORDS: dict[Better, str] = {"higher": "higher is better", "lower": "lower is better", "": ""}
_MAX_KNOWN = 4096


@dataclass(frozen=True)
class Metric:
    """One metric, or a family of metrics whose names differ in a number.

    name: as it is logged, `group/rest`. better: empty where neither way is. player: the one of the two whose
    number it is. real: what real images get, by data set. asked_as: the value of a spec's `evaluation.metrics`
    that logs it. by_classifier: computed from the evaluation classifier's answers, so only for some data sets.
    """

    name: str
    label: str
    meaning: str
    unit: str = ""
    better: Better = ""
    player: Player = ""
    real: Mapping[str, str] = field(default_factory=dict, hash=False)
    asked_as: str = ""
    by_classifier: bool = False

    @property
    def group(self) -> str:
        """The part of the name before the slash: `loss` of `loss/generator`."""
        return self.name.partition("/")[0]

    @property
    def heading(self) -> str:
        """The label with the unit, as a chart and an axis have it."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def sentence(self) -> str:
        """All that is known of the metric, for a person: meaning, direction, real images, and the raw name."""
        direction = f"{BETTER_WORDS[self.better].capitalize()}." if self.better else ""
        real = "; ".join(f"{number} on {name}" for name, number in self.real.items())
        parts = (self.meaning, direction, f"Real images get {real}." if real else "", f"Logged as {self.name}.")
        return " ".join(part for part in parts if part)

    def matches(self, name: str) -> bool:
        """Whether the name is this metric's, or one of this family's."""
        return self._pattern.fullmatch(name) is not None

    def member(self, number: int | str) -> "Metric":
        """Return the metric of a family that has this number."""
        filled = {name: getattr(self, name).replace(_NUMBER, str(number)) for name in ("name", "label", "meaning")}
        return replace(self, **filled)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.escape(self.name).replace(re.escape(_NUMBER), r"(\d+)"))


# Groups of metrics, in the order in which a page lists them, and what people call them.
LOSS = "loss"
EVALUATION = "eval"
GROUP_LABELS = {
    LOSS: "Losses",
    "logits": "Mean logits",
    EVALUATION: "Evaluation",
    "accuracy": "Accuracy while training",
    "transfer": "Classifier transfer",
    "updates": "Updates an iteration",
    "speed": "Speed",
}

# The training itself. A loss has no better direction: the players are measured against each other.
GENERATOR_LOSS = Metric(
    "loss/generator",
    "Generator loss",
    "The loss that the generator's last update minimised, penalties included; it rises when the discriminator "
    "gets better.",
    player="generator",
)
DISCRIMINATOR_LOSS = Metric(
    "loss/discriminator",
    "Discriminator loss",
    "The loss that the discriminator's last update minimised, penalties and class loss included.",
    player="discriminator",
)
ADVERSARIAL_GENERATOR_LOSS = Metric(
    "loss/generator_adversarial",
    "Adversarial loss of the generator",
    "The part of its loss that real against fake decides; measured too where a technique replaces it.",
    player="generator",
)
ADVERSARIAL_DISCRIMINATOR_LOSS = Metric(
    "loss/discriminator_adversarial",
    "Adversarial loss of the discriminator",
    "The part of its loss that real against fake decides, without penalties and class loss.",
    player="discriminator",
)
GENERATOR_PENALTY = Metric(
    "loss/generator_penalty",
    "Penalties of the generator",
    "The sum of what techniques such as feature matching add to the generator's loss.",
    player="generator",
)
DISCRIMINATOR_PENALTY = Metric(
    "loss/discriminator_penalty",
    "Penalties of the discriminator",
    "The sum of what techniques such as R1 add to the discriminator's loss.",
    player="discriminator",
)
LOG_RATIO = Metric(
    "loss/log_ratio",
    "Log of generator loss / discriminator loss",
    "Of the adversarial losses: above 0 the generator is behind, below 0 the discriminator; not logged where one "
    "is 0 or less.",
)
CLASS_LOSS = Metric(
    "loss/classes",
    "Class loss",
    "Cross-entropy of the discriminator's classes on labelled images; a part of the discriminator's loss.",
    unit="nats",
)
REAL_LOGITS = Metric(
    "logits/real",
    "Mean logit of real images",
    "Mean output of the discriminator for real images; above 0 they are called real.",
    player="discriminator",
)
FAKE_LOGITS = Metric(
    "logits/fake",
    "Mean logit of generated images",
    "Mean output of the discriminator for generated images; below 0 they are called generated.",
    player="generator",
)
LABELLED_ACCURACY = Metric(
    "accuracy/labelled",
    "Accuracy on the labelled batch",
    "Share of the last labelled training batch whose class the discriminator gives, in training mode.",
    better="higher",
)
DISCRIMINATOR_UPDATES = Metric(
    "updates/discriminator",
    "Discriminator updates",
    "Updates that the discriminator makes in each iteration from here on.",
    unit="per iteration",
    player="discriminator",
)
GENERATOR_UPDATES = Metric(
    "updates/generator",
    "Generator updates",
    "Updates that the generator makes in each iteration from here on.",
    unit="per iteration",
    player="generator",
)
SPEED = Metric(
    "speed/iterations_per_second",
    "Speed",
    "Iterations a second since the values before; time spent on classifier transfer is left out.",
    unit="iterations/s",
)

# Of samples. Real numbers are of 1,024 test images of MNIST, as docs/metrics.md measures them.
CLASSIFIER_SCORE = Metric(
    "eval/classifier_score",
    "Classifier score",
    "exp E KL(p(y|x) ‖ p(y)), from 1 to the number of classes: high when answers are certain and differ.",
    better="higher",
    real={"mnist": "9.76"},
    asked_as="classifier_score",
    by_classifier=True,
)
CLASS_COVERAGE = Metric(
    "eval/class_coverage",
    "Class coverage",
    "Share of the classes into which at least least_share (1 %) of the samples fall; 1 is all of them.",
    better="higher",
    real={"mnist": "1.0"},
    asked_as="class_coverage",
    by_classifier=True,
)
CLASS_ENTROPY = Metric(
    "eval/class_entropy",
    "Class entropy",
    "Entropy of the samples' histogram over classes: 0 when all fall into one, at most log 10 = 2.303 of ten.",
    unit="nats",
    better="higher",
    real={"mnist": "2.298"},
    asked_as="class_entropy",
    by_classifier=True,
)
CLASS_SHARES = Metric(
    "eval/class_shares_{number}",
    "Share of class {number}",
    "Share of the samples whose likeliest class is {number}.",
    real={"mnist": "0.087–0.116"},
    asked_as="class_shares",
    by_classifier=True,
)
CERTAINTY = Metric(
    "eval/certainty",
    "Certainty",
    "Mean of each sample's highest class probability; alone it says nothing, noise gets 1 too.",
    real={"mnist": "0.995"},
    asked_as="certainty",
    by_classifier=True,
)
FRECHET_DISTANCE = Metric(
    "eval/frechet_distance",
    "Fréchet distance",
    "Distance between the classifier's features of samples and of as many held-out images; 0 is equal.",
    better="lower",
    real={"mnist": "1.25"},
    asked_as="frechet_distance",
    by_classifier=True,
)
PRECISION = Metric(
    "eval/precision",
    "Precision",
    "Share of the samples that lie among real images, by the classifier's features.",
    better="higher",
    real={"mnist": "0.889"},
    asked_as="precision",
    by_classifier=True,
)
RECALL = Metric(
    "eval/recall",
    "Recall",
    "Share of the real images that lie among samples, by the classifier's features.",
    better="higher",
    real={"mnist": "0.891"},
    asked_as="recall",
    by_classifier=True,
)
NEIGHBOUR_DISTANCE = Metric(
    "eval/neighbour_distance",
    "Neighbour distance",
    "Mean distance of the grid's images to their nearest training images; near 0 they are learnt by heart.",
    unit="steps of 255",
    real={"mnist": "12.2"},
    asked_as="neighbour_distance",
)
LABEL_AGREEMENT = Metric(
    "eval/label_agreement",
    "Label agreement",
    "Share of a conditional generator's samples that show the class that was asked for, by the classifier.",
    better="higher",
    real={"mnist": "0.995"},
    asked_as="label_agreement",
    by_classifier=True,
)

# Of the discriminator as a classifier.
TEST_ACCURACY = Metric(
    "eval/test_accuracy",
    "Test accuracy",
    "Share of all test images whose class the discriminator gives.",
    better="higher",
    asked_as="accuracy",
)
TEST_ERRORS = Metric(
    "eval/test_errors",
    "Test errors",
    "Count of the test images whose class the discriminator does not give.",
    unit="images",
    better="lower",
    asked_as="accuracy",
)
VALIDATION_ACCURACY = Metric(
    "eval/validation_accuracy",
    "Validation accuracy",
    "Share of the validation images whose class the discriminator gives; choose settings by it.",
    better="higher",
    asked_as="accuracy",
)
VALIDATION_ERRORS = Metric(
    "eval/validation_errors",
    "Validation errors",
    "Count of the validation images whose class the discriminator does not give.",
    unit="images",
    better="lower",
    asked_as="accuracy",
)

# Classifiers on the discriminator's layers.
TRANSFER_ACCURACY = Metric(
    "transfer/accuracy",
    "Transfer accuracy",
    "Share of all test images told right by a classifier on the discriminator's first layers as they are here.",
    better="higher",
)
TRANSFER_ACCURACY_AFTER = Metric(
    "transfer/accuracy_after_{number}",
    "Transfer accuracy after {number} steps",
    "Transfer accuracy after {number} of the classifier's steps, a point of its learning curve.",
    better="higher",
)
SCRATCH_ACCURACY = Metric(
    "transfer/scratch_accuracy",
    "Accuracy from scratch",
    "Share of all test images told right by the same classifier from the weights before any training.",
    better="higher",
)
SCRATCH_ACCURACY_AFTER = Metric(
    "transfer/scratch_accuracy_after_{number}",
    "Accuracy from scratch after {number} steps",
    "Accuracy from scratch after {number} of the classifier's steps, a point of its learning curve.",
    better="higher",
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
# The values that a spec's `evaluation.metrics` may have, and those of them that need no evaluation classifier.
EVALUATION_METRICS = tuple(dict.fromkeys(metric.asked_as for metric in METRICS if metric.asked_as))
WITHOUT_CLASSIFIER = frozenset(m.asked_as for m in METRICS if m.asked_as and not m.by_classifier)

# Histograms are named in the same way; those of logits have their metrics' names.
GENERATOR_GRADIENTS = "gradients/generator"
DISCRIMINATOR_GRADIENTS = "gradients/discriminator"
NEIGHBOUR_DISTANCES = "neighbours/l1"


def layer_histogram(player: str, index: int, side: str = "") -> str:
    """Return the name of the histogram of what a layer gives; side: `real` or `fake`, of a discriminator."""
    return f"layers/{player}.{index}{f'.{side}' if side else ''}"


@lru_cache(maxsize=_MAX_KNOWN)
def find_metric(name: str) -> Metric:
    """Return the metric of this name; one that is not known has a label made of its name, and no direction."""
    for metric in METRICS:
        match = metric._pattern.fullmatch(name)
        if match:
            return metric.member(match[1]) if match.lastindex else metric
    return Metric(name, _make_label(name), "A metric that Ganvas itself does not log.")


def label_group(group: str) -> str:
    """Return what people call a group of metrics."""
    return GROUP_LABELS.get(group, _say(group))


def _make_label(name: str) -> str:
    group, _, rest = name.partition("/")
    said = _say(rest or group)
    return said if group == EVALUATION or not rest else f"{_say(group)}: {said[0].lower()}{said[1:]}"


def _say(words: str) -> str:
    text = re.sub(r"[_.\s]+", " ", words).strip()
    return text[:1].upper() + text[1:] or words
