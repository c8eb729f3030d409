"""Accuracy of a discriminator that tells classes, on images that it never trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlib.datasets import to_floats
from ganlib.evaluation.measure import Measure
from ganlib.losses.heads import Head
from ganlib.vocabulary import TEST_ACCURACY, TEST_ERRORS, VALIDATION_ACCURACY, VALIDATION_ERRORS

_CHUNK = 500


@dataclass(frozen=True)
class HeldOutErrors:
    """How many of `count` held-out images were given another class than their label: a number () on its device."""

    wrong: Tensor
    count: int


@torch.no_grad()
def count_errors(classifier: nn.Module, head: Head, images: Tensor, labels: Tensor) -> Tensor:
    """Return how many images uint8 (N, C, H, W) are given another class than their label int64 (N,), a number ().

    The classifier is in evaluation mode; its mode is as before afterwards.
    """
    was_training = classifier.training
    classifier.eval()
    wrong = torch.zeros((), dtype=torch.int64, device=images.device)
    for chunk, wanted in zip(torch.split(images, _CHUNK), torch.split(labels, _CHUNK), strict=True):
        wrong += (head.class_logits(classifier(to_floats(chunk))).argmax(1) != wanted).sum()
    classifier.train(was_training)
    return wrong


def accuracy(errors: HeldOutErrors) -> float:
    """Return the share of the images that were given their own class."""
    return 1 - errors.wrong.item() / errors.count


def error_count(errors: HeldOutErrors) -> float:
    """Return how many images were given another class."""
    return errors.wrong.item()


MEASURES = (
    Measure(TEST_ACCURACY, ("test",), accuracy),
    Measure(TEST_ERRORS, ("test",), error_count),
    Measure(VALIDATION_ACCURACY, ("validation",), accuracy),
    Measure(VALIDATION_ERRORS, ("validation",), error_count),
)
