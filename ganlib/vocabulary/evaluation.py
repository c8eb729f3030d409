"""Metrics of samples, of the discriminator as a classifier, and of classifiers on its layers."""

from ganlib.vocabulary.metric import Metric

# Of samples. Real numbers are of 1,024 test images of MNIST, as docs/reference/metrics.md measures them.
CLASSIFIER_SCORE = Metric(
    "eval/classifier_score",
    "Classifier score",
    "exp E KL(p(y|x) ‖ p(y)), from 1 to the number of classes: high when answers are certain and differ.",
    better="higher",
    real={"mnist": "9.76"},
    asked_as="classifier_score",
    answer="classes",
)
CLASS_COVERAGE = Metric(
    "eval/class_coverage",
    "Class coverage",
    "Share of the classes into which at least least_share (1 %) of the samples fall; 1 is all of them.",
    better="higher",
    real={"mnist": "1.0"},
    asked_as="class_coverage",
    answer="classes",
)
CLASS_ENTROPY = Metric(
    "eval/class_entropy",
    "Class entropy",
    "Entropy of the samples' histogram over classes: 0 when all fall into one, at most log 10 = 2.303 of ten.",
    unit="nats",
    better="higher",
    real={"mnist": "2.298"},
    asked_as="class_entropy",
    answer="classes",
)
CLASS_SHARES = Metric(
    "eval/class_shares_{number}",
    "Share of class {number}",
    "Share of the samples whose likeliest class is {number}.",
    real={"mnist": "0.087–0.116"},
    asked_as="class_shares",
    answer="classes",
)
CERTAINTY = Metric(
    "eval/certainty",
    "Certainty",
    "Mean of each sample's highest class probability; alone it says nothing, noise gets 1 too.",
    real={"mnist": "0.995"},
    asked_as="certainty",
    answer="classes",
)
FRECHET_DISTANCE = Metric(
    "eval/frechet_distance",
    "Fréchet distance",
    "Distance between the features of samples and of as many held-out images; 0 is equal.",
    better="lower",
    real={"mnist": "1.25"},
    asked_as="frechet_distance",
    answer="features",
)
PRECISION = Metric(
    "eval/precision",
    "Precision",
    "Share of the samples that lie among real images, by their features.",
    better="higher",
    real={"mnist": "0.889"},
    asked_as="precision",
    answer="features",
)
RECALL = Metric(
    "eval/recall",
    "Recall",
    "Share of the real images that lie among samples, by their features.",
    better="higher",
    real={"mnist": "0.891"},
    asked_as="recall",
    answer="features",
)
DENSITY = Metric(
    "eval/density",
    "Density",
    "How many real images' neighbourhoods a sample lies in, on the average; divided by five, which real ones get.",
    better="higher",
    real={"mnist": "0.943"},
    asked_as="density",
    answer="features",
)
COVERAGE = Metric(
    "eval/coverage",
    "Coverage",
    "Share of the real images that have a sample in their neighbourhood, which reaches to their fifth neighbour.",
    better="higher",
    real={"mnist": "0.979"},
    asked_as="coverage",
    answer="features",
)
KERNEL_DISTANCE = Metric(
    "eval/kernel_distance",
    "Kernel distance",
    "Squared maximum mean discrepancy of the features of samples and held-out images, unbiased: 0 on the average "
    "where both are alike.",
    better="lower",
    real={"mnist": "0.00"},
    asked_as="kernel_distance",
    answer="features",
)
CLASS_DIVERSITY = Metric(
    "eval/class_diversity",
    "Diversity within classes",
    "Mean distance between two samples of one class, by their features, divided by that between two real images "
    "of it.",
    real={"mnist": "1.006"},
    reference=1.0,
    asked_as="class_diversity",
    answer="classes",
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
    answer="classes",
)

# Of samples of a mixture of Gaussians, without a network.
MODES = Metric(
    "eval/modes",
    "Modes covered",
    "Count of the mixture's modes that some sample lies within three standard deviations of.",
    unit="modes",
    better="higher",
    asked_as="modes",
    answer="points",
)
HIGH_QUALITY = Metric(
    "eval/high_quality",
    "High-quality samples",
    "Share of the samples that show one blob within three standard deviations of a mode.",
    better="higher",
    reference=0.989,
    asked_as="high_quality",
    answer="points",
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
