"""How well a discriminator that tells classes tells those of images that it never trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlib.datasets import LabelledImages, load_train_and_test, to_floats
from ganlib.losses import Head
from ganlib.runtime.device import autocast
from ganlib.training.state import TrainingState

_CHUNK = 500


@dataclass(frozen=True)
class HeldOutPart:
    """Images uint8 (N, C, H, W) and labels int64 (N,) on the run's device, under a name for their figures."""

    name: str
    images: Tensor
    labels: Tensor


class AccuracyMeter:
    """Counts the errors of a run's classifier on the whole test part, and on the validation part if any."""

    def __init__(self, state: TrainingState) -> None:
        """Load the test part; raises DatasetUnavailable."""
        self._state = state
        _, test = load_train_and_test(state.spec.dataset)
        self._parts = [_part("test", test, state.device)]
        if state.data.validation is not None:
            self._parts.append(_part("validation", state.data.validation, state.device))

    def describe(self) -> str:
        """Return one sentence that says what the figures are of."""
        parts = " and ".join(f"{len(part.labels):,} {part.name} images" for part in self._parts)
        return f"Accuracy is of all {parts}, none of which is trained on."

    def count_errors(self) -> dict[str, Tensor]:
        """Return the wrongly told images of each part, as numbers on the device; nothing waits for it."""
        state = self._state
        classifier = state.networks.discriminator
        for technique in state.techniques:
            classifier = technique.choose_classifier(classifier)
        with autocast(state.device, state.precision):
            return {
                part.name: count_errors(classifier, state.networks.head, part.images, part.labels)
                for part in self._parts
            }

    def name_values(self, errors: dict[str, Tensor]) -> dict[str, float]:
        """Return `eval/test_accuracy`, `eval/test_errors` and so on from what `count_errors` gave."""
        values: dict[str, float] = {}
        for part in self._parts:
            wrong = errors[part.name].item()
            values[f"eval/{part.name}_accuracy"] = 1 - wrong / len(part.labels)
            values[f"eval/{part.name}_errors"] = wrong
        return values


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


def _part(name: str, data: LabelledImages, device: torch.device) -> HeldOutPart:
    return HeldOutPart(name, data.images.to(device), data.labels.to(device))
