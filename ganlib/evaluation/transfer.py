"""Trains classifiers on a discriminator's first layers, and the same one from scratch for comparison."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Literal, Self

import torch
from torch import Tensor, nn

from ganlib.datasets import choose_labelled, gather_images, load_train_and_test
from ganlib.evaluation.metrics.accuracy import count_errors
from ganlib.events import Event, LineLogged, MetricsLogged
from ganlib.losses.heads import HEADS, class_loss
from ganlib.networks.build import build_network
from ganlib.networks.first_batch import needs_first_batch, show_first_batch
from ganlib.networks.layers import Before, at_least_float32
from ganlib.runtime.device import autocast
from ganlib.runtime.random_streams import DataOrder, reproducible_torch, seed_layers
from ganlib.spec.sections.evaluation import TransferSpec
from ganlib.spec.sections.networks import NetworkSpec
from ganlib.spec.shapes import output_shape
from ganlib.training.data import check_classes, hold_out_validation
from ganlib.training.optimisers import build_optimiser, set_learning_rate
from ganlib.training.recording.background_writer import BackgroundWriter
from ganlib.training.recording.run_reporter import RunReporter
from ganlib.training.state import TrainingState, build_networks, show_first_batches
from ganlib.vocabulary import (
    SCRATCH_ACCURACY,
    SCRATCH_ACCURACY_AFTER,
    TRANSFER_ACCURACY,
    TRANSFER_ACCURACY_AFTER,
    Metric,
)


class TransferClassifier(nn.Module):
    """Kept layers and a head: images (N, C, H, W) in [-1, 1] → class logits (N, K).

    Frozen, the kept layers do not learn and compute as in evaluation, whatever the mode.
    """

    def __init__(self, kept: nn.Sequential, head: nn.Sequential, frozen: bool) -> None:
        super().__init__()
        self.kept = kept.requires_grad_(not frozen)
        self.head = head
        self.frozen = frozen
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K)."""
        logits: Tensor = self.head(self.kept(images))
        return logits

    def train(self, mode: bool = True) -> Self:
        """Change the mode, but not that of frozen layers."""
        super().train(mode)
        if self.frozen:
            self.kept.eval()
        return self


def copy_layers(discriminator: nn.Module, count: int) -> nn.Sequential:
    """Return copies of a discriminator's first layers, without what techniques put before it."""
    while isinstance(discriminator, Before):
        discriminator = discriminator.network
    return deepcopy(nn.Sequential(*list(discriminator.children())[:count]))


def build_first_layers(state: TrainingState, count: int) -> nn.Sequential:
    """Return the discriminator's first layers with the weights that they had before any training.

    Seeds torch's global generators.
    """
    networks = build_networks(state.spec, state.device, [])
    show_first_batches(state.spec, networks, state.data)
    return copy_layers(networks.discriminator, count)


def build_classifier(
    state: TrainingState, spec: TransferSpec, kept: nn.Sequential, first_batch: Tensor
) -> TransferClassifier:
    """Put a new head, the same for all classifiers of a run, on the kept layers, which become part of it.

    first_batch: images (N, C, H, W) for heads whose first values come from data. Seeds torch's global generators.
    """
    job, kept_specs = state.spec, state.spec.discriminator.layers[: spec.kept_layers]
    seed_layers(state.device, job.seed, "transfer head")
    head = build_network(
        NetworkSpec(layers=spec.head, init=job.discriminator.init), output_shape(kept_specs, job.dataset.shape)
    ).to(state.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if needs_first_batch(head):
        with torch.no_grad():
            show_first_batch(head, deepcopy(kept)(first_batch))
    return TransferClassifier(kept, head, spec.frozen)


_TEST_CHUNK = 500
_CLASSES_ONLY = HEADS["categories"]


class TransferAbandoned(Exception):
    """Training a classifier was asked to stop."""


@dataclass(frozen=True)
class TransferTask:
    """The training and test images of a classifier, on the run's device.

    images, test_images: uint8 (N, C, H, W). labels, test_labels: int64 (N,). pool: how many training images the
    budget was drawn from. order: which images each step sees, the same for all classifiers of a run. warnings:
    sentences for a person about the images.
    """

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    pool: int
    order: DataOrder
    warnings: tuple[str, ...] = ()


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
        warnings=training.warnings,
    )


def train_classifier(
    state: TrainingState,
    spec: TransferSpec,
    task: TransferTask,
    make_kept: Callable[[], nn.Sequential],
    should_stop: Callable[[], bool],
) -> dict[int, Tensor]:
    """Train a classifier on the layers of make_kept; return its wrong answers () after each measured step.

    Torch's random state is as before afterwards, and nothing waits for the device. should_stop is called before
    each step and while test images are classified. Raises TransferAbandoned.
    """
    with reproducible_torch(state.device):
        classifier = build_classifier(state, spec, make_kept(), _batch(task, spec, 1)[0])
        seed_layers(state.device, state.spec.seed, "transfer layers")
        learning = [weights for weights in classifier.parameters() if weights.requires_grad]
        optimiser = build_optimiser(spec.optimiser, learning)
        errors: dict[int, Tensor] = {}
        measured_steps = spec.measured_steps
        for step in range(1, spec.iterations + 1):
            _check_stop(should_stop)
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
            _check_stop(should_stop)
            wrong += count_errors(classifier, _CLASSES_ONLY, images, labels)
    return wrong


def _check_stop(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise TransferAbandoned


Errors = dict[int, Tensor]


class TransferReports:
    """The classifiers of one run, if its spec asks for any."""

    _task: TransferTask
    _from_scratch: Errors | None = None

    def __init__(
        self,
        state: TrainingState,
        reports: RunReporter,
        recorder: BackgroundWriter,
        should_stop: Callable[[], bool],
    ) -> None:
        """Load the labels and test images. Raises DatasetUnavailable, LabelBudgetInvalid."""
        self._state = state
        self._reports = reports
        self._recorder = recorder
        self._should_stop = should_stop
        if state.spec.transfer:
            self._task = load_task(state, state.spec.transfer)
            self._log(_describe(state, state.spec.transfer, self._task))
            # The run itself has warned of what it loads.
            for text in self._task.warnings if state.iteration == 0 else ():
                if text not in state.data.warnings:
                    self._log(text, "warning")

    def observe(self, stopping: bool) -> bool:
        """Train the classifiers that are due after this iteration; return whether the run is to stop.

        To be called after each iteration, and before the first one: a resumed run makes up for what a stop cut
        short, from the same weights, so with the same values.
        """
        spec = self._state.spec.transfer
        if spec is None or stopping or not spec.is_due(self._state.iteration, self._state.spec.iterations):
            return stopping
        with self._reports.clock_stopped():
            try:
                self._report(spec)
            except TransferAbandoned:
                return True
        return False

    def _report(self, spec: TransferSpec) -> None:
        state, count = self._state, spec.kept_layers
        train = partial(train_classifier, state, spec, self._task)
        beside = "" if self._from_scratch else ", and one from scratch"
        self._log(f"Training a classifier on the discriminator's layers of iteration {state.iteration:,}{beside}.")
        if self._from_scratch is None:
            self._from_scratch = train(lambda: build_first_layers(state, count), self._should_stop)
        errors = train(lambda: copy_layers(state.networks.discriminator, count), self._should_stop)
        self._recorder.put(partial(self._make_metrics, state.iteration, errors, self._from_scratch))

    def _make_metrics(self, iteration: int, errors: Errors, from_scratch: Errors) -> Event:
        values = self._name_values(TRANSFER_ACCURACY, TRANSFER_ACCURACY_AFTER, errors)
        values |= self._name_values(SCRATCH_ACCURACY, SCRATCH_ACCURACY_AFTER, from_scratch)
        return MetricsLogged(iteration=iteration, values=values)

    def _name_values(self, metric: Metric, family: Metric, errors: Errors) -> dict[str, float]:
        """Return the accuracy after the last step as the metric, those of steps before as the family's."""
        last, count = max(errors), len(self._task.test_labels)
        return {
            (metric if step == last else family.member(step)).name: 1 - wrong.item() / count
            for step, wrong in errors.items()
        }

    def _log(self, text: str, level: Literal["info", "warning"] = "info") -> None:
        line = LineLogged(iteration=self._state.iteration, level=level, text=text[:4000])
        self._recorder.put(lambda: line)


def _describe(state: TrainingState, spec: TransferSpec, task: TransferTask) -> str:
    return (
        f"Transfer: {spec.iterations:,} steps of a classifier on the discriminator's first {spec.kept_layers} of "
        f"{len(state.spec.discriminator.layers)} layers{', which stay frozen,' if spec.frozen else ''} with "
        f"{len(task.labels):,} of {task.pool:,} labels; its accuracy is of all {len(task.test_labels):,} test "
        "images."
    )
