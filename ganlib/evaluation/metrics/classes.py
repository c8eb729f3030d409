"""Metrics of a classifier's answers to a set of samples: how certain they are, and how spread.

Every function takes probabilities (N, K), rows that sum to 1, and returns a float64 scalar on the same device.
"""

import torch
from torch import Tensor

from ganlib.evaluation.measure import Measure
from ganlib.vocabulary import (
    CERTAINTY,
    CLASS_COVERAGE,
    CLASS_DIVERSITY,
    CLASS_ENTROPY,
    CLASS_SHARES,
    CLASSIFIER_SCORE,
    LABEL_AGREEMENT,
)

_BLOCK = 1024


def classifier_score(probabilities: Tensor) -> Tensor:
    """Return exp(E KL(p(y|x) ‖ p(y))), from 1 to K (Salimans et al., 2016, section 4, there with Inception).

    p(y) is the mean of the rows. High when each answer is certain and the answers differ. One sample always
    scores 1, and few samples score lower than many of the same kind.
    """
    rows = probabilities.double()
    mean = rows.mean(0)
    # xlogy is 0 where a probability is 0, as the limit of p · log p is.
    divergences = torch.xlogy(rows, rows).sum(1) - torch.xlogy(rows, mean).sum(1)
    return divergences.mean().exp()


def class_shares(probabilities: Tensor) -> Tensor:
    """Return the share (K,) of the samples whose most likely class is each one."""
    chosen = probabilities.argmax(1)
    counts = torch.zeros(probabilities.shape[1], dtype=torch.float64, device=probabilities.device)
    return counts.index_add_(0, chosen, torch.ones_like(chosen, dtype=torch.float64)) / len(chosen)


def class_coverage(probabilities: Tensor, least_share: float) -> Tensor:
    """Return the share of the classes into which at least least_share of the samples fall: 1 is all of them."""
    return (class_shares(probabilities) >= least_share).double().mean()


def class_entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy in nats of the histogram over classes: 0 when all fall into one, log K when evenly."""
    entropies: Tensor = torch.special.entr(class_shares(probabilities))
    return entropies.sum()


def label_agreement(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the share of the samples whose most likely class is the one that was asked for, labels int64 (N,)."""
    return (probabilities.argmax(1) == labels).double().mean()


def certainty(probabilities: Tensor) -> Tensor:
    """Return the mean of each sample's highest probability, from 1/K to 1."""
    return probabilities.double().amax(1).mean()


def class_diversity(
    probabilities: Tensor, features: Tensor, real_probabilities: Tensor, real_features: Tensor
) -> Tensor:
    """Return how far apart fakes of a class lie, divided by how far apart real images of it do; 1 is as far.

    Distances are means over all pairs of two features (N, F), real ones (M, F); a class is the likeliest one. The
    mean is over the classes that two fakes and two real images at least are of, and 0 where there is none: what is
    missing shows in the coverage. (Odena et al., 2017, section 4.2, ask the same of the similarity of pictures.)
    """
    fake, real = (
        _spread_by_class(chosen.argmax(1), given)
        for chosen, given in ((probabilities, features), (real_probabilities, real_features))
    )
    ratios = [fake[label] / real[label] for label in fake.keys() & real.keys() if real[label] > 0]
    return torch.stack(ratios).mean() if ratios else features.new_zeros((), dtype=torch.float64)


def _spread_by_class(labels: Tensor, features: Tensor) -> dict[int, Tensor]:
    """Return the mean distance of two different rows of each class that has two or more."""
    spreads = {}
    for label, count in enumerate(torch.bincount(labels).tolist()):
        if count > 1:
            own = features[labels == label].double()
            sums = [torch.cdist(block, own).sum() for block in torch.split(own, _BLOCK)]
            spreads[label] = torch.stack(sums).sum() / (count * (count - 1))
    return spreads


MEASURES = (
    Measure(CLASSIFIER_SCORE, ("probabilities",), classifier_score),
    Measure(CLASS_COVERAGE, ("probabilities", "least_share"), class_coverage),
    Measure(CLASS_ENTROPY, ("probabilities",), class_entropy),
    Measure(CLASS_SHARES, ("probabilities",), class_shares),
    Measure(CERTAINTY, ("probabilities",), certainty),
    Measure(
        CLASS_DIVERSITY,
        ("probabilities", "features", "real_probabilities", "real_features"),
        class_diversity,
    ),
    Measure(LABEL_AGREEMENT, ("probabilities", "labels"), label_agreement),
)
