"""Signals: what is measured of every run while it trains, without a classifier, to tell when it goes wrong."""

from ganlib.vocabulary.metric import Metric

# Of the samples, beside as many real images.
DIVERSITY = Metric(
    "signals/diversity",
    "Diversity of samples",
    "Mean distance between two samples, divided by that between two real images, in pixels: near 0 all are alike.",
    reference=1.0,
)
FEATURE_DIVERSITY = Metric(
    "signals/feature_diversity",
    "Diversity for the discriminator",
    "Mean distance between two samples, divided by that between two real images, in the discriminator's last "
    "features.",
    reference=1.0,
)
KINDS = Metric(
    "signals/kinds",
    "Kinds of samples",
    "Count of samples that are left when each one near to an earlier one is taken away; near is 0.3 of the mean "
    "distance of two real images.",
    better="higher",
)
KIND_SHARE = Metric(
    "signals/kind_share",
    "Kinds beside real images",
    "Kinds of samples, divided by the kinds among as many real images.",
    better="higher",
    reference=1.0,
)
DUPLICATES = Metric(
    "signals/duplicates",
    "Near-duplicates",
    "Share of the samples that have another one nearer than 0.3 of the mean distance of two real images.",
    better="lower",
)
CONTRAST = Metric(
    "signals/contrast",
    "Contrast of samples",
    "Spread of a sample's pixels, divided by that of a real image's: 0 is one plain colour.",
    reference=1.0,
)
NOT_FINITE = Metric(
    "signals/not_finite",
    "Values that are not finite",
    "Share of the values of a loop's pictures that are NaN or infinite, logged where it changes from 0.",
    better="lower",
    reference=0.0,
)
REAL_DISTANCE = Metric(
    "signals/real_distance",
    "Distance to real images",
    "Energy distance between samples and real images in pixels of small pictures (Székely and Rizzo, 2013): 0 "
    "where both are alike, 1 where they have nothing in common.",
    better="lower",
    reference=0.0,
)
MOVEMENT = Metric(
    "signals/movement",
    "Movement of samples",
    "Mean distance that a cell has moved since the last measurement, divided by that between two real images.",
)
CHECKERBOARD = Metric(
    "signals/checkerboard",
    "Checkerboard",
    "Strength of a pattern that repeats each 2 or 4 pixels at the same place in all samples, beside other fine "
    "detail, divided by that of real images.",
    better="lower",
    reference=1.0,
)
LABEL_EFFECT = Metric(
    "signals/label_effect",
    "Effect of the label",
    "Mean distance that a sample moves when its label alone changes, divided by that between two real images: "
    "near 0 the label is ignored.",
)
LABEL_AGREEMENT_SIGNAL = Metric(
    "signals/label_agreement",
    "Samples near to their class",
    "Share of the samples that are nearest to the mean image of the class that was asked for, divided by the same "
    "share of real images.",
    better="higher",
    reference=1.0,
)

# Of what is remembered.
NEAREST_TRAINING = Metric(
    "signals/nearest_training",
    "Nearest training image",
    "Median distance of samples to their nearest training image, divided by that of images held out: far below 1 "
    "they are learnt by heart.",
    reference=1.0,
)
COPIES = Metric(
    "signals/copies",
    "Copies of training images",
    "Share of the samples that lie nearer to a training image than nearly any image that was held out does.",
    better="lower",
    reference=0.0,
)
TRAINING_LOGITS = Metric(
    "signals/training_logit",
    "Mean logit of training images",
    "Mean output of the discriminator for some of its training images, in evaluation mode.",
    player="discriminator",
)
GENERATED_LOGITS = Metric(
    "signals/generated_logit",
    "Mean logit of samples",
    "Mean output of the discriminator for samples, in evaluation mode.",
    player="generator",
)
HELD_OUT_LOGITS = Metric(
    "signals/held_out_logit",
    "Mean logit of held-out images",
    "Mean output of the discriminator for real images that it was never trained on.",
    player="discriminator",
)
OVERFITTING = Metric(
    "signals/overfitting",
    "Overfitting of the discriminator",
    "(E D(training) − E D(held out)) / (E D(training) − E D(generated)): 0 without overfitting, 1 where held-out "
    "images are taken for generated ones (r_v of Karras and others, 2020, equation 1).",
    better="lower",
    reference=0.0,
)

# Of the networks.
DISCRIMINATOR_ACCURACY = Metric(
    "signals/discriminator_accuracy",
    "Accuracy of the discriminator",
    "Share of real and generated images that it tells apart at the threshold that suits it best: 0.5 is chance.",
    player="discriminator",
)
GENERATOR_GRADIENT = Metric(
    "signals/generator_gradient",
    "Gradient of the generator",
    "Norm of the gradient of all its weights in its last update.",
    player="generator",
)
DISCRIMINATOR_GRADIENT = Metric(
    "signals/discriminator_gradient",
    "Gradient of the discriminator",
    "Norm of the gradient of all its weights in its last update.",
    player="discriminator",
)
GENERATOR_WEIGHTS = Metric(
    "signals/generator_weights", "Weights of the generator", "Norm of all its weights.", player="generator"
)
DISCRIMINATOR_WEIGHTS = Metric(
    "signals/discriminator_weights",
    "Weights of the discriminator",
    "Norm of all its weights.",
    player="discriminator",
)
GENERATOR_CHANGE = Metric(
    "signals/generator_change",
    "Change of the generator",
    "Norm of the change of all its weights since the last measurement, divided by their norm.",
    player="generator",
)
DISCRIMINATOR_CHANGE = Metric(
    "signals/discriminator_change",
    "Change of the discriminator",
    "Norm of the change of all its weights since the last measurement, divided by their norm.",
    player="discriminator",
)
GENERATOR_DEAD = Metric(
    "signals/generator_dead_{number}",
    "Dead units of the generator's layer {number}",
    "Share of the units of the generator's layer {number} that give 0 for all samples.",
    better="lower",
    player="generator",
)
DISCRIMINATOR_DEAD = Metric(
    "signals/discriminator_dead_{number}",
    "Dead units of the discriminator's layer {number}",
    "Share of the units of the discriminator's layer {number} that give 0 for all images.",
    better="lower",
    player="discriminator",
)
GENERATOR_SATURATED = Metric(
    "signals/generator_saturated_{number}",
    "Saturated units of the generator's layer {number}",
    "Share of what the generator's layer {number} gives that lies within 1 % of an end of its range, where a "
    "sigmoid or tanh passes hardly any gradient.",
    better="lower",
    player="generator",
)
DISCRIMINATOR_SATURATED = Metric(
    "signals/discriminator_saturated_{number}",
    "Saturated units of the discriminator's layer {number}",
    "Share of what the discriminator's layer {number} gives that lies within 1 % of an end of its range, where a "
    "sigmoid or tanh passes hardly any gradient.",
    better="lower",
    player="discriminator",
)
SPECTRAL_NORM = Metric(
    "signals/spectral_norm_{number}",
    "Largest singular value of layer {number}",
    "Largest singular value of the weights of the discriminator's layer {number}, as a matrix (Miyato and "
    "others, 2018, section 2.1).",
    player="discriminator",
)
