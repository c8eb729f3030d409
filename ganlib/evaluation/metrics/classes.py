"""Metrics of a classifier's answers to a set of samples: how certain they are, and how spread.

Every function takes probabilities (N, K), rows that sum to 1, and returns a float64 scalar on the same device.
"""

import torch
from torch import Tensor

from ganlib.evaluation.measure import Measure
from ganlib.vocabulary import (
    CERTAINTY,
    CLASS_COVERAGE,
    CLASS_ENTROPY,
    CLASS_SHARES,
    CLASSIFIER_SCORE,
    LABEL_AGREEMENT,
)


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


MEASURES = (
    Measure(CLASSIFIER_SCORE, ("probabilities",), classifier_score),
    Measure(CLASS_COVERAGE, ("probabilities", "least_share"), class_coverage),
    Measure(CLASS_ENTROPY, ("probabilities",), class_entropy),
    Measure(CLASS_SHARES, ("probabilities",), class_shares),
    Measure(CERTAINTY, ("probabilities",), certainty),
    Measure(LABEL_AGREEMENT, ("probabilities", "labels"), label_agreement),
)
