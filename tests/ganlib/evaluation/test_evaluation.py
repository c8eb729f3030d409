"""Evaluation: what is reported and when, and that training does not notice it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter

from ganlib.datasets import load_images
from ganlib.errors import SpecInvalid
from ganlib.evaluation import evaluator
from ganlib.evaluation.afterwards import choose_evaluation, evaluate_checkpoint, read_checkpoint_spec
from ganlib.evaluation.classifier.network import CLASSIFIERS
from ganlib.evaluation.evaluator import MEASURES
from ganlib.spec.job import JobSpec, training_identity
from ganlib.spec.parse import parse_spec
from ganlib.spec.sections.evaluation import EvaluationMetric, EvaluationSpec
from ganlib.trainer import StopReason
from ganlib.vocabulary import EVALUATION_METRICS, METRICS

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]

# All that any run can be measured by.
FOR_SOME = {"label_agreement", "accuracy", "modes", "high_quality"}
ALL = {"every": 2, "samples": 64, "metrics": [name for name in EVALUATION_METRICS if name not in FOR_SOME]}


@pytest.fixture(scope="module", autouse=True)
def quick_classifier(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A classifier of the digits that is trained for one epoch, once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setitem(CLASSIFIERS, "digits", replace(CLASSIFIERS["digits"], epochs=1))
        yield


def figures(run: Any) -> list[tuple[int, dict[str, float]]]:
    return [(iteration, values) for iteration, values in run.numbers() if any("eval/" in name for name in values)]


def test_figures_come_every_so_many_iterations_and_at_the_last(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    run = run_training(make_spec(iterations=5, evaluation={"every": 2, "samples": 32}))
    assert [iteration for iteration, _ in figures(run)] == [2, 4, 5]
    names = ("classifier_score", "class_coverage", "class_entropy", "certainty")
    for _, values in figures(run):
        assert list(values) == [f"eval/{name}" for name in names]
        assert 1 <= values["eval/classifier_score"] <= 10
        assert 0.1 <= values["eval/certainty"] <= 1


def test_the_classifier_its_accuracy_and_the_count_of_samples_stand_before_the_figures(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    run = run_training(make_spec(evaluation={"every": 2, "samples": 48}))
    assert [kind for kind, _ in run.kinds()[:2]] == ["training_started", "latents_fixed"]
    line = run.of_kind("line_logged")[-1]
    assert line.text.startswith("Evaluation metrics are of 48 samples each, by the digits classifier, version 1 (")
    assert "% of 300 held-out images right" in line.text
    assert run.events.index(line) < run.events.index(run.of_kind("metrics_logged")[0])


def test_training_does_not_notice_that_it_is_evaluated(make_spec: MakeSpec, run_training: RunTraining) -> None:
    layers = {
        "layers": [{"layer": "noise", "std": 0.1}, {"layer": "conv", "size": 8, "kernel": 3}, "batch_norm",
                   "leaky_relu", "dropout", {"layer": "dense", "size": 1}]
    }  # fmt: skip
    plain = make_spec(discriminator=layers, techniques=[{"technique": "ema_generator", "decay": 0.8}])
    evaluated = parse_spec(plain.model_dump(mode="json") | {"evaluation": ALL | {"every": 1}})
    first, second = run_training(plain), run_training(evaluated)
    assert first.files() == second.files()
    logged = [values for _, values in second.numbers() if "loss/generator" in values]
    assert logged == [values for _, values in first.numbers()]
    assert len(figures(second)) == 6


def test_without_a_stream_of_its_own_evaluation_would_change_the_training(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: latents of the evaluation taken from the stream that the steps draw from."""
    plain, evaluated = make_spec(), make_spec(evaluation=ALL)
    states: list[Any] = []
    choose = evaluator.choose_sampler
    monkeypatch.setattr(evaluator, "choose_sampler", lambda state: states.append(state) or choose(state))
    monkeypatch.setattr(evaluator, "make_generator", lambda *_: states[-1].latents_generator)
    assert run_training(plain).files() != run_training(evaluated).files()


def test_a_run_that_was_stopped_goes_on_to_the_same_figures(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    spec = make_spec(evaluation=ALL)
    whole = run_training(spec)
    first = run_training(spec, stop_at=3)
    second = run_training(spec, resume_from=first.out_dir / "checkpoints/00000003.safetensors")
    assert figures(first) + figures(second) == figures(whole)
    assert len(figures(whole)) == 3
    assert {name.removeprefix("eval/") for name in figures(whole)[0][1]} > {"frechet_distance", "class_shares_9"}


def test_the_figures_are_those_of_the_network_that_draws_the_samples(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    def run_with(decay: float) -> Any:
        average = {"technique": "ema_generator", "decay": decay}
        return run_training(make_spec(techniques=[average], evaluation=ALL))

    plain, following, frozen = run_training(make_spec(evaluation=ALL)), run_with(0.0), run_with(0.999999)
    assert figures(following)[-1][1] == pytest.approx(figures(plain)[-1][1], rel=1e-3)
    assert figures(frozen)[-1][1] != pytest.approx(figures(plain)[-1][1], rel=1e-3)


def test_class_shares_are_one_figure_for_each_class(make_spec: MakeSpec, run_training: RunTraining) -> None:
    run = run_training(make_spec(evaluation={"every": 6, "metrics": ["class_shares"]}))
    ((_, values),) = figures(run)
    assert list(values) == [f"eval/class_shares_{index}" for index in range(10)]
    assert sum(values.values()) == pytest.approx(1)


def test_real_images_and_what_they_are_known_by_stand_in_the_sentence(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    """A run of an earlier version said the beginning of it."""

    def sentence(**evaluation: Any) -> str:
        lines = run_training(make_spec(iterations=1, evaluation={"every": 1, **evaluation})).of_kind("line_logged")
        (text,) = [line.text for line in lines if line.about == "evaluation"]
        return str(text)

    bare, full = sentence(samples=32), sentence(samples=32, metrics=["certainty", "coverage"])
    assert full.startswith(f"{bare} Real images: 32 held out, statistics ")
    by_random = sentence(samples=32, extractor="random", metrics=["coverage"])
    assert by_random.startswith("Evaluation metrics are of 32 samples each, by the random network, version 1 (")
    # Other features of the same images are other statistics.
    assert by_random.split()[-1] != full.split()[-1]
    assert sentence(metrics=["coverage"]).startswith("Evaluation metrics are of 1,024 samples each")


def test_a_mixture_is_measured_without_a_network(make_spec: MakeSpec, run_training: RunTraining) -> None:
    dataset = {"name": "gaussians", "size": 8, "count": 500}
    run = run_training(make_spec(dataset=dataset, iterations=2, evaluation={"every": 2, "samples": 64}))
    ((_, values),) = figures(run)
    assert list(values) == ["eval/modes", "eval/high_quality", "eval/frechet_distance"]
    assert 0 <= values["eval/modes"] <= 8
    assert not any("Training the" in line.text for line in run.of_kind("line_logged"))


@pytest.mark.parametrize("target", ["checkpoint", "iteration"])
def test_a_checkpoint_gets_the_figures_that_its_run_logged(
    make_spec: MakeSpec, run_training: RunTraining, target: str
) -> None:
    spec = make_spec(evaluation=ALL, techniques=[{"technique": "ema_generator", "decay": 0.8}])
    run = run_training(spec)
    path = run.out_dir / "checkpoints/00000004.safetensors"
    read = spec if target == "iteration" else read_checkpoint_spec(path)
    evaluation = choose_evaluation(read, {} if target == "iteration" else {**ALL, "every": 1})
    judged = evaluate_checkpoint(path, read, evaluation, lambda line: None)
    assert judged.iteration == 4
    assert judged.values == dict(figures(run))[4]
    assert judged.by == next(line.text for line in run.of_kind("line_logged") if line.about == "evaluation")
    assert judged.by.endswith(f"statistics {judged.real_digest[:12]}.")
    # Control: another checkpoint has other figures.
    other = evaluate_checkpoint(
        run.out_dir / "checkpoints/00000006.safetensors", spec, evaluation, lambda line: None
    )
    assert other.values != judged.values


def test_another_extractor_measures_what_it_is_best_at(make_spec: MakeSpec) -> None:
    spec = make_spec(evaluation={"every": 2, "samples": 64, "metrics": ["certainty"]})
    chosen = choose_evaluation(spec, {"extractor": "pixels"})
    assert (chosen.extractor, chosen.samples) == ("pixels", 64)
    assert chosen.metrics == ("frechet_distance", "density", "coverage")
    assert choose_evaluation(spec, {"samples": 32}).metrics == ("certainty",)
    with pytest.raises(SpecInvalid, match="which the extractor pixels does not give"):
        choose_evaluation(spec, {"extractor": "pixels", "metrics": ["certainty"]})


def test_the_neighbour_distance_is_that_of_the_grids_images(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    spec = make_spec(evaluation={"every": 6, "metrics": ["neighbour_distance"]})
    run = run_training(spec)
    ((_, values),) = figures(run)
    grid = np.asarray(Image.open(run.out_dir / "samples/00000006.png")).astype(int)
    cells = grid.reshape(2, 8, 3, 8).transpose(0, 2, 1, 3).reshape(6, 1, 64)
    real = load_images(spec.dataset, torch.device("cpu")).numpy().astype(int).reshape(1, 1797, 64)
    expected = np.abs(cells - real).mean(2).min(1).mean()
    assert values["eval/neighbour_distance"] == pytest.approx(expected, rel=1e-6)


def test_a_stop_while_the_classifier_is_trained_ends_the_run_at_once(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    run = run_training(make_spec(evaluation=ALL), stop_at=1)
    assert run.reason is StopReason.STOPPED
    assert (run.events[-1].iteration, run.events[-1].reason) == (0, "stopped")
    assert run.of_kind("metrics_logged") == []


def test_an_evaluation_may_change_where_a_run_goes_on(make_spec: MakeSpec, run_training: RunTraining) -> None:
    plain = make_spec()
    assert training_identity(plain) == training_identity(make_spec(evaluation=ALL))
    first = run_training(plain, stop_at=3)
    checkpoint = first.out_dir / "checkpoints/00000003.safetensors"
    second = run_training(make_spec(evaluation=ALL), resume_from=checkpoint)
    assert [iteration for iteration, _ in figures(second)] == [4, 6]
    last = "checkpoints/00000006.safetensors"
    assert second.files()[last] == run_training(plain).files()[last]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"evaluation": {"every": 0}}, "evaluation.every", "must be at least 1"),
        ({"evaluation": {}}, "evaluation.every", "this field is required"),
        ({"evaluation": {"every": 1, "samples": 1}}, "evaluation.samples", "must be at least 16"),
        ({"evaluation": {"every": 1, "metrics": []}}, "evaluation.metrics", "must have at least 1 item"),
        ({"evaluation": {"every": 1, "metrics": ["fid"]}}, "evaluation.metrics.0", "allowed: 'classifier_score'"),
        ({"evaluation": {"every": 1, "judge": "inception"}}, "evaluation.judge", "there is no such field"),
        ({"evaluation": 3}, "evaluation", "must be a mapping of fields to values"),
    ],
)
def test_a_bad_evaluation_is_refused_by_name(
    make_spec_data: Callable[..., dict[str, Any]], changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(make_spec_data(**changes))
    (problem,) = caught.value.problems
    assert problem.field == field
    assert words in problem.message


FOLDER = {"name": "folder", "path": "faces", "size": 8, "colour": "grey"}
GAUSSIANS = {"name": "gaussians", "size": 8}


@pytest.mark.parametrize(
    ("dataset", "extractor", "metrics"),
    [
        ("digits", "classifier", ("classifier_score", "class_coverage", "class_entropy", "certainty")),
        (
            {**FOLDER, "classes": 3},
            "classifier",
            ("classifier_score", "class_coverage", "class_entropy", "certainty"),
        ),
        (FOLDER, "random", ("frechet_distance", "density", "coverage")),
        (GAUSSIANS, "points", ("modes", "high_quality", "frechet_distance")),
    ],
)
def test_each_data_set_has_an_extractor_and_the_metrics_that_it_is_best_at(
    make_spec: MakeSpec, dataset: Any, extractor: str, metrics: tuple[str, ...]
) -> None:
    spec = make_spec(dataset=dataset, evaluation={"every": 1})
    assert spec.evaluation is not None
    assert spec.evaluation.choose_extractor(spec.dataset) == extractor
    assert spec.evaluation.metrics == metrics
    # What a service stores and a worker reads back is the same, and metrics that are asked for stay.
    assert parse_spec(spec.model_dump(mode="json")) == spec
    asked = make_spec(dataset=dataset, evaluation={"every": 1, "metrics": ["neighbour_distance"]})
    assert asked.evaluation is not None
    assert asked.evaluation.metrics == ("neighbour_distance",)


@pytest.mark.parametrize(
    ("dataset", "evaluation", "field", "words"),
    [
        (FOLDER, {"extractor": "classifier"}, "extractor", "a classifier needs classes: give dataset.classes"),
        (GAUSSIANS, {"extractor": "classifier"}, "extractor", "the mixture itself says"),
        ("digits", {"extractor": "points"}, "extractor", "gaussians alone, not of digits"),
        ("digits", {"extractor": "vgg"}, "extractor", "allowed: 'auto', 'classifier'"),
        (
            "digits",
            {"extractor": "random", "metrics": ["coverage", "class_coverage"]},
            "metrics.1",
            "of extractors, classifier and points can",
        ),
        ("digits", {"metrics": ["modes"]}, "metrics.0", "points of a mixture of gaussians"),
    ],
)
def test_what_an_extractor_cannot_say_is_refused_with_those_that_can(
    make_spec_data: Callable[..., dict[str, Any]], dataset: Any, evaluation: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(make_spec_data(dataset=dataset, evaluation={"every": 1, **evaluation}))
    (problem,) = caught.value.problems
    assert problem.field.startswith(f"evaluation.{field}")
    assert words in problem.message


def test_every_metric_of_the_spec_is_there() -> None:
    assert {measure.metric for measure in MEASURES} == {metric for metric in METRICS if metric.asked_as}
    assert len(MEASURES) == len({measure.metric.name for measure in MEASURES})
    assert TypeAdapter(EvaluationMetric).json_schema()["enum"] == list(EVALUATION_METRICS)
    spec = EvaluationSpec(every=1)
    assert EvaluationSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_evaluation_leaves_torchs_random_state_alone(make_spec: MakeSpec, run_training: RunTraining) -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    run_training(make_spec(iterations=2, evaluation=ALL))
    assert torch.equal(torch.get_rng_state(), state)
