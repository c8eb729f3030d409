"""Label agreement: how many conditional samples show the class that was asked for."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlib.errors import SpecInvalid
from ganlib.evaluation import evaluator
from ganlib.evaluation.classifier.network import CLASSIFIERS
from ganlib.evaluation.extractors.extractor import Extracted
from ganlib.evaluation.metrics.classes import label_agreement
from ganlib.runtime.random_streams import draw_labels, make_generator
from ganlib.spec.job import JobSpec
from ganlib.training.data import draw_latents

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]

GENERATOR = {
    "layers": ["labels", {"layer": "dense", "size": 64}, {"layer": "reshape", "shape": [1, 8, 8]}, "tanh"]
}
EVALUATION = {"every": 2, "samples": 300, "metrics": ["label_agreement"]}


@pytest.fixture(scope="module", autouse=True)
def quick_classifier(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A classifier of the digits that is trained for one epoch, once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setitem(CLASSIFIERS, "digits", replace(CLASSIFIERS["digits"], epochs=1))
        yield


def test_agreement_is_the_share_of_samples_whose_likeliest_class_was_asked_for() -> None:
    probabilities = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.5, 0.1], [0.9, 0.05, 0.05]])
    assert label_agreement(probabilities, torch.tensor([0, 2, 1, 0])).item() == 1
    assert label_agreement(probabilities, torch.tensor([0, 2, 0, 1])).item() == 0.5
    assert label_agreement(probabilities, torch.tensor([1, 1, 2, 2])).item() == 0


def classify_by(monkeypatch: pytest.MonkeyPatch, answer: Callable[[int], Tensor]) -> None:
    """Let a classifier call 300 samples the classes that `answer` gives for their count, whatever they show."""
    seen: list[int] = []

    def extract(images: Tensor) -> Extracted:
        labels = answer(300)[sum(seen) : sum(seen) + len(images)]
        seen.append(len(images))
        return Extracted(torch.zeros(len(images), 1), torch.nn.functional.one_hot(labels, 10).float())

    told = SimpleNamespace(name="classifier that is told", facts="", warning="", extract=extract)
    monkeypatch.setattr(evaluator, "obtain_extractor", lambda *_: told)


def test_a_classifier_that_sees_what_was_asked_for_agrees_and_one_that_is_off_by_one_does_not(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(generator=GENERATOR, iterations=2, evaluation=EVALUATION)

    def asked(count: int) -> Tensor:
        generator = make_generator(torch.device("cpu"), spec.seed, "evaluation latents")
        draw_latents(spec.latents, count, generator)
        return draw_labels(10, count, generator)

    for answer, expected in ((asked, 1.0), (lambda count: (asked(count) + 1) % 10, 0.0)):
        classify_by(monkeypatch, answer)
        values = run_training(spec).numbers()[-1][1]
        assert values == {"eval/label_agreement": expected}


def test_an_untrained_generator_shows_what_was_asked_for_about_as_often_as_chance(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    values = run_training(make_spec(generator=GENERATOR, iterations=2, evaluation=EVALUATION)).numbers()[-1][1]
    assert 0.02 < values["eval/label_agreement"] < 0.3


def test_agreement_needs_a_generator_that_takes_labels(make_spec: MakeSpec) -> None:
    with pytest.raises(SpecInvalid, match="let the generator take labels"):
        make_spec(evaluation=EVALUATION)
