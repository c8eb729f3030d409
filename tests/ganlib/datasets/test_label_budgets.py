"""A label budget: no other label has any influence on a run, nor any other image on a classifier alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlib.datasets import LabelledImages, choose_labelled, load_train_and_test
from ganlib.errors import DatasetUnavailable, LabelBudgetInvalid
from ganlib.spec.job import JobSpec
from ganlib.training import data as data_module
from ganlib.training.state import build_state
from tests.support.labelled import ACGAN, CATGAN, CLASSIFIER, SEMI_SUPERVISED

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]

CPU = torch.device("cpu")
BUDGET = {"dataset": {"name": "digits", "labels": 20}}
FAMILIES: dict[str, dict[str, Any]] = {
    "semi-supervised": SEMI_SUPERVISED | BUDGET | {"evaluation": None},
    "classifier": CLASSIFIER | BUDGET | {"evaluation": None},
    "acgan": ACGAN | BUDGET | {"evaluation": None},
    "catgan": CATGAN | BUDGET,
}


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[LabelledImages, Tensor], None]:
    """Return a function that lets runs read other data, while the budget stays the one of the true labels."""

    def patch(data: LabelledImages, budget: Tensor) -> None:
        monkeypatch.setattr(data_module, "load_train_and_test", lambda spec: (data, data))
        monkeypatch.setattr(data_module, "choose_labelled", lambda *_: budget)

    return patch


@pytest.mark.parametrize("changes", FAMILIES.values(), ids=FAMILIES.keys())
def test_labels_outside_the_budget_are_never_used(
    make_spec: MakeSpec,
    run_training: RunTraining,
    poison: Callable[[LabelledImages, Tensor], None],
    changes: dict[str, Any],
) -> None:
    spec = make_spec(**changes, iterations=4, log_every=1)
    true, _ = load_train_and_test(spec.dataset)
    budget = choose_labelled(true.labels, 20, spec.seed)
    expected = run_training(spec)

    labels = (true.labels + 1) % 10
    labels[budget] = true.labels[budget]
    poison(replace(true, labels=labels), budget)
    poisoned = run_training(spec)
    assert poisoned.files() == expected.files()
    assert poisoned.numbers() == expected.numbers()
    # The control: one label of the budget is another.
    labels[budget[3]] = (labels[budget[3]] + 1) % 10
    assert run_training(spec).numbers() != expected.numbers()


def test_a_classifier_alone_sees_no_image_outside_the_budget(
    make_spec: MakeSpec, run_training: RunTraining, poison: Callable[[LabelledImages, Tensor], None]
) -> None:
    # Without weight norm, whose first lengths come from images that need no label.
    layers = [{"layer": "dense", "size": 24}, "relu", {"layer": "dense", "size": 10}]
    for name, same in (("classifier", True), ("semi-supervised", False)):
        with pytest.MonkeyPatch.context() as patch:
            spec = make_spec(**{**FAMILIES[name], "discriminator": {"layers": layers}}, iterations=4)
            true, _ = load_train_and_test(spec.dataset)
            budget = choose_labelled(true.labels, 20, spec.seed)
            expected = run_training(spec)
            images = 255 - true.images
            images[budget] = true.images[budget]
            data = replace(true, images=images)
            patch.setattr(data_module, "load_train_and_test", lambda spec, data=data: (data, data))
            assert (run_training(spec).files() == expected.files()) is same


def test_each_epoch_of_the_budget_shows_each_of_its_images_once(make_spec: MakeSpec) -> None:
    data = build_state(make_spec(**FAMILIES["semi-supervised"], batch_size=10), CPU).data
    assert data.labels is not None
    batches = [data.gather(data.choose(number)) for number in range(1, 5)]
    labels = [batch.labels for _, batch in batches if batch and batch.labels is not None]
    for first, second in ((0, 1), (2, 3)):
        assert torch.cat([labels[first], labels[second]]).bincount().tolist() == [2] * 10
    assert all(real.labels is None for real, _ in batches)


def test_a_budget_of_all_labels_is_none(make_spec: MakeSpec) -> None:
    whole = {**FAMILIES["semi-supervised"], "dataset": {"name": "digits", "labels": 1497}}
    data = build_state(make_spec(**whole), CPU).data
    real, labelled = data.gather(data.choose(1))
    assert labelled is None
    assert real.labels is not None
    assert len(real.labels) == 16


def test_images_that_cannot_be_shared_out_are_refused_with_a_sentence(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    semi = FAMILIES["semi-supervised"]
    with pytest.raises(LabelBudgetInvalid, match="only 1,497 images"):
        build_state(make_spec(**{**semi, "dataset": {"name": "digits", "labels": 1498}}), CPU)
    with pytest.raises(
        LabelBudgetInvalid, match=r"dataset\.validation: 1,790 labels are 179 for class 0, which has only 178"
    ):
        build_state(make_spec(dataset={"name": "digits", "validation": 1790}), CPU)
    even = LabelledImages(torch.zeros(30, 1, 8, 8, dtype=torch.uint8), torch.arange(30) % 10, tuple("0123456789"))
    monkeypatch.setattr(data_module, "load_training", lambda spec: even)
    with pytest.raises(DatasetUnavailable, match="holds out all 30 training images"):
        build_state(make_spec(dataset={"name": "digits", "validation": 30}), CPU)


def test_a_data_set_with_another_number_of_classes_is_refused(
    make_spec: MakeSpec, poison: Callable[[LabelledImages, Tensor], None]
) -> None:
    spec = make_spec(**FAMILIES["semi-supervised"])
    true, _ = load_train_and_test(spec.dataset)
    poison(LabelledImages(true.images, true.labels % 3, ("a", "b", "c")), torch.arange(20))
    with pytest.raises(
        DatasetUnavailable, match=r"has 3 classes, but the spec counts on 10; set dataset.classes to 3"
    ):
        build_state(spec, CPU)
