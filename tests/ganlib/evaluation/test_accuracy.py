"""Accuracy: every held-out image is counted once, by the network that classifies, and none was trained on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlib import datasets
from ganlib.datasets import LabelledImages
from ganlib.evaluation.evaluator import AccuracyMeter
from ganlib.evaluation.metrics.accuracy import count_errors
from ganlib.losses.heads import HEADS
from ganlib.spec.job import JobSpec
from ganlib.training.state import build_state
from ganlib.training.step import train_step
from tests.support.labelled import CLASSIFIER, SEMI_SUPERVISED

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]

CPU = torch.device("cpu")


class ReadsTheFirstPixel(nn.Module):
    """Says the class that stands in the first pixel, and notes how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, bool, bool]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.calls.append((len(images), self.training, torch.is_grad_enabled()))
        classes = images[:, 0, 0, 0].add(1).mul(127.5).round().long()
        return 5 * nn.functional.one_hot(classes, 11).float()


def pictures_of(classes: Tensor) -> Tensor:
    return classes.to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)


@pytest.mark.parametrize("training", [True, False])
def test_every_image_is_counted_whatever_their_number(training: bool) -> None:
    labels = torch.arange(1203) % 10
    shown = labels.clone()
    # Wrong in the first chunk, at its end, in the middle, and in the last one, which is not a full one.
    shown[[0, 499, 500, 1000, 1202]] += 1
    shown %= 10
    classifier = ReadsTheFirstPixel().train(training)
    errors = count_errors(classifier, HEADS["semi_supervised"], pictures_of(shown), labels)
    assert (errors.item(), errors.shape) == (5, ())
    assert [count for count, _, _ in classifier.calls] == [500, 500, 203]
    assert {call[1:] for call in classifier.calls} == {(False, False)}
    assert classifier.training is training


def test_only_the_logits_of_classes_are_asked() -> None:
    """Outputs that are largest where `fake` or the source stands do not count as an answer."""
    labels = torch.zeros(4, dtype=torch.int64)
    called_fake = pictures_of(torch.full((4,), 10))
    count = {
        kind: count_errors(ReadsTheFirstPixel(), HEADS[kind], called_fake, labels).item()
        for kind in ("semi_supervised", "semi_supervised_fake_class", "shared_trunk")
    }
    # Ten zeros are class 0; of 1 + K outputs the eleventh is class 9.
    assert count == {"semi_supervised": 4, "semi_supervised_fake_class": 0, "shared_trunk": 4}
    first = pictures_of(torch.zeros(4))
    assert count_errors(ReadsTheFirstPixel(), HEADS["shared_trunk"], first, labels).item() == 0


def test_all_test_and_validation_images_stand_behind_the_figures(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    run = run_training(make_spec(**SEMI_SUPERVISED))
    lines = [line.text for line in run.of_kind("line_logged")]
    assert "Accuracy is of all 300 test images and 30 validation images, none of which is trained on." in lines
    measured = [values for _, values in run.numbers() if "eval/test_errors" in values]
    assert [iteration for iteration, values in run.numbers() if "eval/test_errors" in values] == [2, 4, 6]
    for values in measured:
        for part, count in (("test", 300), ("validation", 30)):
            errors = values[f"eval/{part}_errors"]
            assert errors == int(errors)
            assert values[f"eval/{part}_accuracy"] == 1 - errors / count
    assert run.of_kind("training_started")[0].image_count == 1497 - 30


def test_the_averaged_classifier_is_measured(make_spec: MakeSpec) -> None:
    state = build_state(make_spec(**SEMI_SUPERVISED), CPU)
    meter = AccuracyMeter(state)
    for _ in range(3):
        train_step(state)
    average = state.techniques[1].choose_classifier(state.networks.discriminator)
    assert average is not state.networks.discriminator
    for weights in average.parameters():
        weights.zero_()
    # All logits alike: each image is called a 0, of which 27 of 300 are right.
    zeros = int((meter.parts["test"].labels == 0).sum())
    assert meter.count_errors()["test"].wrong.item() == 300 - zeros
    state.techniques.pop()
    assert meter.count_errors()["test"].wrong.item() != 300 - zeros
    assert state.networks.discriminator.training


@pytest.fixture
def numbered_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 digits that carry their own number in their first two pixels; as ever, without a test part."""

    def load(spec: Any, split: str) -> LabelledImages | None:
        images = torch.zeros(300, 1, 8, 8, dtype=torch.uint8)
        images[:, 0, 0, 0], images[:, 0, 0, 1] = torch.arange(300) // 100, torch.arange(300) % 100
        return None if split == "test" else LabelledImages(images, torch.arange(300) % 10, tuple("0123456789"))

    monkeypatch.setitem(datasets.DATASETS, "digits", load)


def test_what_of_the_test_part_is_left_out_is_told_too(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_digits = datasets.DATASETS["digits"]

    def load(spec: Any, split: str) -> LabelledImages | None:
        told = ("Of all parts.",) if split == "train" else ("Of all parts.", "Of the test part.")
        data = load_digits(spec, "train")
        return data and replace(data, warnings=told)

    monkeypatch.setitem(datasets.DATASETS, "digits", load)
    lines = run_training(make_spec(**SEMI_SUPERVISED, iterations=2)).of_kind("line_logged")
    assert [line.text for line in lines if line.about == "data"] == ["Of all parts.", "Of the test part."]


def numbers_of(images: Tensor) -> set[int]:
    """Return the numbers of images uint8 (N, …), or of float ones in [-1, 1]."""
    pixels = images.add(1).mul(127.5).round() if images.is_floating_point() else images
    return set((100 * pixels[:, 0, 0, 0].long() + pixels[:, 0, 0, 1].long()).tolist())


@pytest.mark.usefixtures("numbered_digits")
@pytest.mark.parametrize("changes", [SEMI_SUPERVISED, CLASSIFIER], ids=["semi-supervised", "classifier"])
def test_no_image_that_is_tested_on_is_ever_in_a_batch(make_spec: MakeSpec, changes: dict[str, Any]) -> None:
    state = build_state(make_spec(**changes), CPU)
    test, validation = (numbers_of(part.images) for part in AccuracyMeter(state).parts.values())
    # Every sixth of each class; the digit of number n is its last one.
    assert test == {number for number in range(300) if number // 10 % 6 == 0}
    assert (len(validation), test & validation) == (30, set())
    # 220 images are left, so 14 batches of 16 are an epoch.
    batches = [state.data.gather(state.data.choose(number)) for number in range(1, 15)]
    seen = set().union(*(numbers_of(real.images) for real, _ in batches))
    assert seen == set(range(300)) - test - validation
    told = set().union(*(numbers_of(labelled.images) for _, labelled in batches if labelled))
    assert len(told) == 20
    assert told < seen


@pytest.mark.usefixtures("numbered_digits")
def test_without_classes_all_images_are_trained_on_but_those_held_out(make_spec: MakeSpec) -> None:
    assert numbers_of(build_state(make_spec(), CPU).images) == set(range(300))
    held = build_state(make_spec(dataset={"name": "digits", "validation": 50}), CPU)
    assert held.data.validation is not None
    assert len(held.images) == 250
    assert not numbers_of(held.images) & numbers_of(held.data.validation.images)


@pytest.mark.usefixtures("numbered_digits")
def test_the_validation_part_is_even_over_the_classes_and_drawn_from_the_seed(make_spec: MakeSpec) -> None:
    def validation(seed: int) -> LabelledImages:
        found = build_state(
            make_spec(dataset={"name": "digits", "validation": 40}, seed=seed), CPU
        ).data.validation
        assert found is not None
        return found

    assert validation(0).labels.bincount().tolist() == [4] * 10
    assert numbers_of(validation(0).images) == numbers_of(validation(0).images)
    assert numbers_of(validation(0).images) != numbers_of(validation(1).images)
