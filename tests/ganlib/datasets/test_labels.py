"""Label budgets: which images keep their label."""

import pytest
import torch

from ganlib.datasets import LabelledImages, choose_labelled
from ganlib.datasets.labelled import hold_out, warn_of_gaps
from ganlib.errors import DatasetUnavailable, LabelBudgetInvalid

# Ten classes in turn, forty images each.
LABELS = torch.arange(400) % 10


def test_a_budget_is_shared_out_evenly() -> None:
    chosen = choose_labelled(LABELS, 100, seed=0)
    assert LABELS[chosen].bincount().tolist() == [10] * 10
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert chosen.dtype == torch.int64


def test_a_budget_that_is_no_multiple_gives_some_classes_one_more() -> None:
    counts = LABELS[choose_labelled(LABELS, 25, seed=0)].bincount(minlength=10)
    assert sorted(counts.tolist()) == [2] * 5 + [3] * 5
    others = [LABELS[choose_labelled(LABELS, 25, seed=seed)].bincount(minlength=10) for seed in range(1, 4)]
    assert any(not torch.equal(counts, other) for other in others)


def test_a_budget_is_the_same_for_a_seed_and_another_for_another() -> None:
    assert torch.equal(choose_labelled(LABELS, 50, seed=3), choose_labelled(LABELS, 50, seed=3))
    assert not torch.equal(choose_labelled(LABELS, 50, seed=3), choose_labelled(LABELS, 50, seed=4))


def test_a_larger_budget_holds_the_smaller_one_of_its_seed() -> None:
    small, large = (set(choose_labelled(LABELS, count, seed=1).tolist()) for count in (50, 100))
    assert small < large


def test_all_images_may_be_labelled() -> None:
    assert choose_labelled(LABELS, 400, seed=0).tolist() == list(range(400))


@pytest.mark.parametrize(
    ("labels", "count", "words"),
    [
        (LABELS, 9, "9 labels are too few for 10 classes"),
        (LABELS, 401, "401 labels were asked for, but there are only 400 images"),
        (
            torch.tensor([0] * 8 + [1] * 2),
            6,
            "6 labels are 3 for class 1, which has only 2 images: ask for at most 4",
        ),
    ],
)
def test_a_budget_that_cannot_be_met_says_why(labels: torch.Tensor, count: int, words: str) -> None:
    with pytest.raises(LabelBudgetInvalid, match=words):
        choose_labelled(labels, count, seed=0)


def test_one_image_cannot_be_split() -> None:
    one = LabelledImages(torch.zeros(1, 1, 4, 4, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64), ("a",))
    with pytest.raises(DatasetUnavailable, match="at least two"):
        hold_out(one)


def labelled(*labels: int) -> LabelledImages:
    count = len(labels)
    # Each image is known by its brightness.
    images = torch.arange(count, dtype=torch.uint8).reshape(count, 1, 1, 1).expand(count, 1, 4, 4)
    return LabelledImages(images, torch.tensor(labels), tuple("abcdefghij"))


def picked(part: LabelledImages) -> list[int]:
    return part.images[:, 0, 0, 0].tolist()


def test_every_sixth_is_held_out_where_each_class_has_its_share() -> None:
    training, test = hold_out(labelled(*[0] * 30, *[1] * 30))
    assert picked(test) == list(range(0, 60, 6))
    assert sorted(picked(training) + picked(test)) == list(range(60))


@pytest.mark.parametrize(
    ("labels", "held_out"),
    [
        # The small class would get none of every sixth: of each class its first image, and each sixth from there.
        ((0,) * 13 + (1,) * 4 + (0,), [0, 6, 12, 13]),
        # Labels that repeat with the same step: all of the test part would be one class.
        ((0, 1, 2, 3, 4, 5) * 3, [0, 1, 2, 3, 4, 5]),
        # A class of one image is trained on.
        ((1, 0, 0), [1]),
    ],
)
def test_a_share_that_leaves_out_a_class_is_taken_of_each_class(
    labels: tuple[int, ...], held_out: list[int]
) -> None:
    training, test = hold_out(labelled(*labels))
    assert picked(test) == held_out
    assert sorted(picked(training) + picked(test)) == list(range(len(labels)))


def test_classes_that_one_part_alone_shows_are_named() -> None:
    training, test = hold_out(labelled(1, 0, 0))
    assert warn_of_gaps(training, test).warnings == (
        "No test image shows the class b: what is measured says nothing of it.",
    )
    assert warn_of_gaps(test, training).warnings == ("No training image shows the class b, but test images do.",)
    assert warn_of_gaps(*hold_out(labelled(0, 0, 1, 1))).warnings == ()


def test_without_two_images_of_any_class_nothing_can_be_held_out() -> None:
    with pytest.raises(DatasetUnavailable, match="No class has two images"):
        hold_out(labelled(0, 1, 2))
