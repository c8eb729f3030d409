"""Metrics and histograms of the training itself."""

from ganlib.vocabulary.metric import Metric

# A loss has no better direction: the players are measured against each other.
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
AUGMENTATION_PROBABILITY = Metric(
    "augmentation/probability",
    "Augmentation probability",
    "Probability of each change that adaptive augmentation makes of an image that the discriminator sees.",
)
AUGMENTATION_OVERFITTING = Metric(
    "augmentation/overfitting",
    "Overfitting while augmented",
    "E sign D(training), of changed images: 0 without overfitting, 1 where all are called real (r_t of Karras and "
    "others, 2020, equation 1).",
    player="discriminator",
)
SPEED = Metric(
    "speed/iterations_per_second",
    "Speed",
    "Iterations a second since the values before; time spent on classifier transfer is left out.",
    unit="iterations/s",
)

# Histograms are named in the same way; those of logits have their metrics' names.
GENERATOR_GRADIENTS = "gradients/generator"
DISCRIMINATOR_GRADIENTS = "gradients/discriminator"
NEIGHBOUR_DISTANCES = "neighbours/l1"


def layer_histogram(player: str, index: int, side: str = "") -> str:
    """Return the name of the histogram of what a layer gives; side: `real` or `fake`, of a discriminator."""
    return f"layers/{player}.{index}{f'.{side}' if side else ''}"
