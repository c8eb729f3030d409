"""Train a classifier on a label budget and count its errors on all test images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlib.accuracy import count_errors
from ganlib.datasets import choose_labelled, gather_images, load_train_and_test
from ganlib.hardware import autocast
from ganlib.losses import HEADS, class_loss
from ganlib.modules.simple import at_least_float32
from ganlib.optimisers import build_optimiser, set_learning_rate
from ganlib.randomness import DataOrder, reproducible_torch, seed_layers
from ganlib.sections.transfer import TransferSpec
from ganlib.state import TrainingState
from ganlib.training_data import check_classes, hold_out_validation
from ganlib.transfer.classifier import TransferClassifier, build_classifier

_TEST_CHUNK = 500
_CLASSES_ONLY = HEADS["categories"]


class TransferAbandoned(Exception):
    """Training a classifier was asked to stop."""


@dataclass(frozen=True)
class TransferTask:
    """What a classifier learns from and is tested on, on the run's device.

    images, test_images: uint8 (N, C, H, W). labels, test_labels: int64 (N,). pool: how many training images the
    budget was drawn from. order: which images each step sees, the same for all classifiers of a run.
    """

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    pool: int
    order: DataOrder


def load_task(state: TrainingState, spec: TransferSpec) -> TransferTask:
    """Load the label budget and the test images. Raises DatasetUnavailable, LabelBudgetInvalid."""
    job, device = state.spec, state.device
    training, test = load_train_and_test(job.dataset)
    training, _ = hold_out_validation(job, training)
    check_classes(job, training)
    chosen = training.pick(choose_labelled(training.labels, spec.labels, job.seed, "transfer labels"))
    return TransferTask(
        images=chosen.images.to(device),
        labels=chosen.labels.to(device),
        test_images=test.images.to(device),
        test_labels=test.labels.to(device),
        pool=len(training.labels),
        order=DataOrder(job.seed, len(chosen.labels), spec.batch_size, device, "transfer order"),
    )


def train_classifier(
    state: TrainingState,
    spec: TransferSpec,
    task: TransferTask,
    make_kept: Callable[[], nn.Sequential],
    should_stop: Callable[[], bool],
) -> dict[int, Tensor]:
    """Train a classifier on the layers that make_kept gives; return its wrong answers () after each measured step.

    Torch's random state is as before afterwards, and nothing waits for the device. should_stop is asked before
    each step and while test images are told. Raises TransferAbandoned.
    """
    with reproducible_torch(state.device):
        classifier = build_classifier(state, spec, make_kept(), _batch(task, spec, 1)[0])
        seed_layers(state.device, state.spec.seed, "transfer layers")
        learning = [weights for weights in classifier.parameters() if weights.requires_grad]
        optimiser = build_optimiser(spec.optimiser, learning)
        errors: dict[int, Tensor] = {}
        measured_steps = spec.measured_steps
        for step in range(1, spec.iterations + 1):
            _refuse_to_go_on(should_stop)
            set_learning_rate(optimiser, spec.optimiser, step)
            images, labels = _batch(task, spec, step)
            with autocast(state.device, state.precision):
                loss = class_loss(at_least_float32(classifier(images)), labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if step in measured_steps:
                errors[step] = _count_errors(state, classifier, task, should_stop)
    return errors


def _batch(task: TransferTask, spec: TransferSpec, step: int) -> tuple[Tensor, Tensor]:
    indices = task.order.indices(step)
    return gather_images(task.images, indices), task.labels[indices]


def _count_errors(
    state: TrainingState, classifier: TransferClassifier, task: TransferTask, should_stop: Callable[[], bool]
) -> Tensor:
    wrong = torch.zeros((), dtype=torch.int64, device=state.device)
    chunks = zip(*(torch.split(part, _TEST_CHUNK) for part in (task.test_images, task.test_labels)), strict=True)
    with autocast(state.device, state.precision):
        for images, labels in chunks:
            _refuse_to_go_on(should_stop)
            wrong += count_errors(classifier, _CLASSES_ONLY, images, labels)
    return wrong


def _refuse_to_go_on(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise TransferAbandoned
