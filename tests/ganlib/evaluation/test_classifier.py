"""Evaluation classifiers: how good they are, that they are made once, and what happens to damaged files."""

import fcntl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlib.datasets import LabelledImages, load_train_and_test
from ganlib.datasets.labelled import take_fingerprint
from ganlib.evaluation.classifier import store, training
from ganlib.evaluation.classifier.network import CLASSIFIERS, EvaluationClassifier, prepare_images
from ganlib.evaluation.classifier.store import classifier_path, digest_images, obtain_classifier
from ganlib.evaluation.classifier.training import ClassifierAbandoned, shift_images
from ganlib.spec.sections.evaluation import CLASSIFIED_DATASETS

CPU = torch.device("cpu")
Obtain = Callable[..., EvaluationClassifier]


@pytest.fixture(scope="module")
def digits_classifier(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[EvaluationClassifier, Path, list[str]]]:
    """The classifier of the digits as it is trained, the cache folder that it is kept in, and what was said."""
    with pytest.MonkeyPatch.context() as patch:
        cache = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(cache))
        lines: list[str] = []
        yield obtain_classifier("digits", CPU, lines.append, lambda: False), cache, lines


@pytest.fixture
def quick_classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Obtain:
    """Return a function that obtains a classifier of the digits, trained for one epoch, in an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(CLASSIFIERS, "digits", replace(CLASSIFIERS["digits"], epochs=1))

    def obtain(
        say: Callable[[str], None] = lambda line: None, should_stop: Any = lambda: False
    ) -> EvaluationClassifier:
        return obtain_classifier("digits", CPU, say, should_stop)

    return obtain


def kept_path() -> Path:
    """Return where the classifier of the digits is kept."""
    return classifier_path("digits", digest_images(CLASSIFIERS["digits"]))


def weights(classifier: EvaluationClassifier) -> list[torch.Tensor]:
    return list(classifier.network.state_dict().values())


def test_the_obtain_in_thread_the_digits_names_98_of_100_held_out_images(
    digits_classifier: tuple[EvaluationClassifier, Path, list[str]],
) -> None:
    classifier, _, lines = digits_classifier
    assert classifier.facts.held_out_count == 300
    assert classifier.facts.accuracy >= 0.98
    assert 9 < classifier.facts.real_score < 10
    assert lines[0] == "Training the digits classifier on 1,497 images, once: epoch 1 of 30"
    assert "held-out images right" in str(classifier.facts)
    assert classifier.facts.digest[:12] in str(classifier.facts)


def test_its_accuracy_is_that_of_its_own_answers(
    digits_classifier: tuple[EvaluationClassifier, Path, list[str]],
) -> None:
    classifier, _, _ = digits_classifier
    _, held_out = load_train_and_test(CLASSIFIERS["digits"].dataset)
    answers = classifier.classify(held_out.images)
    assert answers.probabilities.sum(1).tolist() == pytest.approx([1] * 300, abs=1e-5)
    assert answers.features.shape == (300, 64)
    right = (answers.probabilities.argmax(1) == held_out.labels).sum().item()
    assert classifier.facts.accuracy == right / 300


def test_a_classifier_sees_images_of_another_size_as_its_own(
    digits_classifier: tuple[EvaluationClassifier, Path, list[str]],
) -> None:
    classifier, _, _ = digits_classifier
    _, held_out = load_train_and_test(CLASSIFIERS["digits"].dataset)
    enlarged = held_out.images.repeat_interleave(4, 2).repeat_interleave(4, 3)
    named = classifier.classify(enlarged).probabilities.argmax(1)
    assert (named == held_out.labels).double().mean().item() > 0.95
    assert prepare_images(torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2), (1, 1, 2)).tolist() == [
        [[[-1, 1]]]
    ]


def test_a_classifier_is_trained_once_and_then_read(quick_classifier: Obtain) -> None:
    lines: list[str] = []
    first = quick_classifier(lines.append)
    assert lines
    lines.clear()
    second = quick_classifier(lines.append)
    assert lines == []
    assert first.facts == second.facts
    assert all(torch.equal(*pair) for pair in zip(weights(first), weights(second), strict=True))


def test_the_same_seed_gives_the_same_classifier_and_leaves_torchs_random_state_alone(
    quick_classifier: Obtain,
) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = quick_classifier()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    kept_path().unlink()
    assert quick_classifier().facts == first.facts


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other version"])
def test_a_damaged_classifier_is_trained_anew_and_that_is_said(
    quick_classifier: Obtain, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = quick_classifier()
    path = kept_path()
    data = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(data[:-7])
        case "flip":
            path.write_bytes(data[:-7] + bytes([data[-7] ^ 1]) + data[-6:])
        case "empty":
            path.write_bytes(b"")
        case "other version":
            newer = replace(CLASSIFIERS["digits"], version=2)
            monkeypatch.setitem(CLASSIFIERS, "digits", newer)
            path.rename(kept_path())
    lines: list[str] = []
    second = quick_classifier(lines.append)
    assert lines[0].startswith("The digits classifier is trained anew: ")
    assert (second.facts == first.facts) is (damage != "other version")
    lines.clear()
    assert quick_classifier(lines.append).facts == second.facts
    assert lines == []


OTHER_IMAGES = (
    "The digits classifier kept here is of other images, or of an earlier version, so one is trained anew"
)


def turn_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the digits be other images, under the same name."""

    def load_turned(spec: Any) -> tuple[LabelledImages, LabelledImages]:
        train, test = load_train_and_test(spec)
        turned = (
            take_fingerprint(replace(part, images=255 - part.images, fingerprint=None)) for part in (train, test)
        )
        return tuple(turned)  # type: ignore[return-value]

    for module in (store, training):
        monkeypatch.setattr(module, "load_train_and_test", load_turned)


def test_other_images_under_the_same_name_have_a_classifier_of_their_own(
    quick_classifier: Obtain, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    first = quick_classifier(lines.append)
    assert OTHER_IMAGES not in lines
    with monkeypatch.context() as patch:
        turn_images(patch)
        other = quick_classifier(lines.append)
        assert other.facts.digest != first.facts.digest
        assert OTHER_IMAGES in lines
    lines.clear()
    assert quick_classifier(lines.append).facts == first.facts
    assert lines == []


def test_a_classifier_that_does_not_say_of_which_images_it_is_is_not_taken(quick_classifier: Obtain) -> None:
    first = quick_classifier()
    # As earlier versions named it.
    kept_path().rename(kept_path().with_name("digits-1.safetensors"))
    lines: list[str] = []
    assert quick_classifier(lines.append).facts == first.facts
    assert lines[0] == OTHER_IMAGES


def test_without_the_digest_of_the_images_it_would_be(
    quick_classifier: Obtain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control."""
    monkeypatch.setattr(store, "digest_images", lambda recipe: "same")
    first = quick_classifier()
    turn_images(monkeypatch)
    assert quick_classifier().facts == first.facts


def test_without_the_digest_the_flipped_byte_would_be_taken(
    quick_classifier: Obtain, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = quick_classifier().facts.digest
    path = kept_path()
    data = path.read_bytes()
    path.write_bytes(data[:-7] + bytes([data[-7] ^ 1]) + data[-6:])
    monkeypatch.setattr(store, "digest_tensors", lambda tensors: digest)
    lines: list[str] = []
    quick_classifier(lines.append)
    assert lines == []


def test_of_two_that_want_a_classifier_one_trains_and_the_other_waits(
    quick_classifier: Obtain, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = 0
    train_evaluation_classifier = store.train_evaluation_classifier
    both_wait = threading.Barrier(2)

    def counted(*arguments: Any) -> EvaluationClassifier:
        nonlocal trained
        trained += 1
        return train_evaluation_classifier(*arguments)

    def obtain_in_thread(lines: list[str]) -> None:
        both_wait.wait()
        classifiers.append(quick_classifier(lines.append))

    monkeypatch.setattr(store, "train_evaluation_classifier", counted)
    classifiers: list[EvaluationClassifier] = []
    said: list[list[str]] = [[], []]
    threads = [threading.Thread(target=obtain_in_thread, args=(lines,)) for lines in said]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trained == 1
    assert classifiers[0].facts == classifiers[1].facts
    assert ["Another process trains the digits classifier; waiting for it"] in said


def test_a_run_that_cannot_keep_its_classifier_trains_one_for_itself(
    quick_classifier: Obtain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    lines: list[str] = []
    assert quick_classifier(lines.append).facts.held_out_count == 300
    assert lines[0].startswith("The digits classifier cannot be kept (")


def test_a_full_disk_does_not_end_the_run(quick_classifier: Obtain, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write_classifier", fail)
    lines: list[str] = []
    assert quick_classifier(lines.append).facts.held_out_count == 300
    assert lines[-1] == "The digits classifier cannot be kept ([Errno 28] No space left on device)"
    assert [path.suffix for path in kept_path().parent.iterdir()] == [".lock"]


def test_one_that_waits_for_a_classifier_stops_when_asked(quick_classifier: Obtain) -> None:
    kept_path().parent.mkdir(parents=True)
    with kept_path().with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answers = iter([False, True])
        lines: list[str] = []
        with pytest.raises(ClassifierAbandoned):
            quick_classifier(lines.append, lambda: next(answers))
    assert lines == ["Another process trains the digits classifier; waiting for it"]


def test_training_a_classifier_stops_when_asked_and_leaves_nothing(quick_classifier: Obtain) -> None:
    answers = iter([False, False, True])
    with pytest.raises(ClassifierAbandoned):
        quick_classifier(should_stop=lambda: next(answers))
    assert not kept_path().exists()
    assert [path.suffix for path in kept_path().parent.iterdir()] == [".lock"]
    assert quick_classifier().facts.held_out_count == 300


def test_images_are_shifted_by_whole_pixels_and_filled_with_nothing() -> None:
    image = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8).reshape(1, 1, 2, 2).repeat(4, 1, 1, 1)
    shifted = shift_images(image, torch.tensor([[0, 1, 0, -1], [0, 0, 1, -1]]))
    assert shifted.dtype == torch.uint8
    assert shifted.flatten(1).tolist() == [[1, 2, 3, 4], [0, 0, 1, 2], [0, 1, 0, 3], [4, 0, 0, 0]]


def test_a_obtain_in_thread_small_mnist_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks for MNIST, on digits enlarged to its size: seconds instead of minutes."""
    training_part, held_out = load_train_and_test(CLASSIFIERS["digits"].dataset)

    def enlarge(part: LabelledImages) -> LabelledImages:
        images = torch.nn.functional.interpolate(part.images.float(), size=(28, 28), mode="bilinear")
        return replace(part, images=images.to(torch.uint8))

    monkeypatch.setattr(training, "load_train_and_test", lambda spec: (enlarge(training_part), enlarge(held_out)))
    recipe = replace(CLASSIFIERS["mnist"], epochs=3)
    classifier = training.train_evaluation_classifier("mnist", recipe, CPU, lambda line: None, lambda: False)
    assert classifier.facts.accuracy > 0.9


def test_the_spec_knows_the_classifiers_that_there_are() -> None:
    assert set(CLASSIFIED_DATASETS) == CLASSIFIERS.keys()
