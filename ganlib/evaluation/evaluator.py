"""Evaluates a run every so many iterations, by the metrics that its spec asks for; training is not touched by it.

The latents come from a stream of their own and are the same at each evaluation, so that values of one run differ
by the generator alone. The samples are drawn by the network that draws the grids.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from ganlib.datasets import LabelledImages, load_train_and_test
from ganlib.evaluation import metrics
from ganlib.evaluation.classifier.training import ClassifierAbandoned
from ganlib.evaluation.extractors.build import obtain_extractor
from ganlib.evaluation.extractors.extractor import FeatureExtractor, describe_extractor
from ganlib.evaluation.extractors.points import build_mixture
from ganlib.evaluation.extractors.real_statistics import LEAST, RealStatistics, obtain_real_statistics
from ganlib.evaluation.measure import ANSWERS_BY_INPUT, REAL_INPUTS, SAMPLE_INPUTS, Input, Measure
from ganlib.evaluation.metrics.accuracy import HeldOutErrors, count_errors
from ganlib.evaluation.metrics.neighbours import NeighbourSearch
from ganlib.events import Event, LineLogged, MetricsLogged
from ganlib.runtime.device import autocast
from ganlib.runtime.random_streams import draw_labels, make_generator
from ganlib.spec.sections.datasets import GaussiansSpec
from ganlib.spec.sections.evaluation import EvaluationSpec
from ganlib.training.data import draw_latents
from ganlib.training.recording.background_writer import BackgroundWriter
from ganlib.training.recording.run_reporter import RunReporter, choose_sampler
from ganlib.training.recording.samples import draw_samples
from ganlib.training.state import TrainingState

_CHUNK = 256


def find_measures() -> tuple[Measure, ...]:
    """Return the metrics of every module of `ganlib/evaluation/metrics/`."""
    names = sorted(module.name for module in iter_modules(metrics.__path__))
    modules = [import_module(f"{metrics.__name__}.{name}") for name in names]
    return tuple(measure for module in modules for measure in module.MEASURES)


MEASURES = find_measures()


@dataclass(frozen=True)
class HeldOutPart:
    """Images uint8 (N, C, H, W) and labels int64 (N,) on the run's device, none of them trained on."""

    images: Tensor
    labels: Tensor


class AccuracyMeter:
    """Counts the errors of a run's discriminator on the whole test part, and on the validation part if any."""

    def __init__(self, state: TrainingState) -> None:
        """Load the test part; raises DatasetUnavailable."""
        self._state = state
        _, test = load_train_and_test(state.spec.dataset)
        self.parts: dict[Input, HeldOutPart] = {"test": _move_part(test, state.device)}
        # The run has told what is left out of all parts and of the images to train on.
        self.warnings = tuple(text for text in test.warnings if text not in state.data.warnings)
        if state.data.validation is not None:
            self.parts["validation"] = _move_part(state.data.validation, state.device)

    def describe(self) -> str:
        """Return one sentence about the images that are counted."""
        parts = " and ".join(f"{len(part.labels):,} {name} images" for name, part in self.parts.items())
        return f"Accuracy is of all {parts}, none of which is trained on."

    def count_errors(self) -> dict[Input, HeldOutErrors]:
        """Return the errors of each part, as numbers on the device; nothing waits for it."""
        state = self._state
        classifier = state.networks.discriminator
        for technique in state.techniques:
            classifier = technique.choose_classifier(classifier)
        with autocast(state.device, state.precision):
            return {
                name: HeldOutErrors(
                    count_errors(classifier, state.networks.head, part.images, part.labels), len(part.labels)
                )
                for name, part in self.parts.items()
            }


def _move_part(data: LabelledImages, device: torch.device) -> HeldOutPart:
    return HeldOutPart(data.images.to(device), data.labels.to(device))


class Say(Protocol):
    """Tells a person something about an evaluation."""

    def __call__(
        self,
        text: str,
        about: Literal["evaluation", "data"] | None = None,
        level: Literal["info", "warning"] = "info",
    ) -> None:
        """Say one sentence; `about` as in LineLogged."""
        ...


class SampleMeter:
    """Measures a run as it is: draws samples, lets an extractor look at them, and computes metrics."""

    extractor: FeatureExtractor | None = None
    real: RealStatistics | None = None
    _accuracy: AccuracyMeter | None = None

    def __init__(self, state: TrainingState, spec: EvaluationSpec, say: Say) -> None:
        self._state = state
        self._spec = spec
        self._say = say
        self._measures = [m for name in spec.metrics for m in MEASURES if m.metric.asked_as == name]
        self._inputs = {name for measure in self._measures for name in measure.inputs}

    def prepare(self, should_stop: Callable[[], bool]) -> None:
        """Get the extractor, trained now if it has to be, and held-out images, and say what will be measured.

        Raises DatasetUnavailable, ExtractorUnavailable, and ClassifierAbandoned once should_stop says so.
        """
        state = self._state
        if self._inputs & {"test", "validation"}:
            self._accuracy = AccuracyMeter(state)
            for text in self._accuracy.warnings:
                self._say(text, about="data", level="warning")
            self._say(self._accuracy.describe())
        if self._inputs & ANSWERS_BY_INPUT.keys():
            chosen = self._spec.choose_extractor(state.spec.dataset)
            self.extractor = obtain_extractor(chosen, state.spec.dataset, state.device, self._say, should_stop)
            if self.extractor.warning:
                self._say(self.extractor.warning, level="warning")
            if self._inputs & REAL_INPUTS:
                self._prepare_real(self.extractor)
            self._say(self.describe(self.extractor), about="evaluation")

    def _prepare_real(self, extractor: FeatureExtractor) -> None:
        self.real = obtain_real_statistics(extractor, self._spec.samples, self._state.device)
        if self.real is None:
            text = (
                f"Fewer than {LEAST} images are held out, so nothing is measured that compares samples with them."
            )
            self._say(text, level="warning")

    def describe(self, extractor: FeatureExtractor) -> str:
        """Return the sentence that names what figures are by; only those of one sentence are compared.

        That of earlier versions is the beginning of it.
        """
        name = describe_extractor(extractor)
        by = f"Evaluation metrics are of {self._spec.samples:,} samples each, by the {name}."
        if self.real is None:
            return by
        return f"{by} Real images: {len(self.real.features):,} held out, statistics {self.real.digest[:12]}."

    def collect(self) -> dict[Input, Any]:
        """Draw samples and look at them; returns what the metrics need, on the device, without waiting for it."""
        state = self._state
        inputs: dict[Input, Any] = {"least_share": self._spec.least_share}
        if self._inputs & SAMPLE_INPUTS:
            inputs |= self._draw_inputs()
        if self.real is not None:
            inputs["real_features"] = self.real.features
            if self.real.probabilities is not None:
                inputs["real_probabilities"] = self.real.probabilities
        if "mixture" in self._inputs and isinstance(state.spec.dataset, GaussiansSpec):
            inputs["mixture"] = build_mixture(state.spec.dataset)
        if self._accuracy:
            inputs |= self._accuracy.count_errors()
        if self._spec.neighbour_grid or "neighbours" in self._inputs:
            grid_images = draw_samples(choose_sampler(state), state.fixed_latents, state.fixed_labels)
            inputs["neighbours"] = NeighbourSearch(grid_images, state.images)
        return inputs

    def compute(self, inputs: dict[Input, Any]) -> dict[str, float]:
        """Return the metrics by name; waits for the device, so not on the training thread."""
        # Chunks are joined and brought to the CPU here.
        joined = {
            name: torch.cat(value).cpu() if isinstance(value, list) else value for name, value in inputs.items()
        }
        values: dict[str, float] = {}
        for measure in self._measures:
            values |= measure.measure(joined)
        return values

    def _draw_inputs(self) -> dict[Input, Any]:
        """Draw samples and return what the metrics need of them, as lists of chunks on the device."""
        spec, sampler = self._state.spec, choose_sampler(self._state)
        generator = make_generator(torch.device("cpu"), spec.seed, "evaluation latents")
        given = [draw_latents(spec.latents, self._spec.samples, generator)]
        inputs: dict[Input, Any] = {}
        if self._state.fixed_labels is not None:
            given.append(draw_labels(spec.dataset.class_count, self._spec.samples, generator))
            inputs["labels"] = [given[-1]]
        # In chunks, so that many samples need no more memory than few.
        for chunk in zip(*(torch.split(part.to(self._state.device), _CHUNK) for part in given), strict=True):
            images = draw_samples(sampler, *chunk)
            if "images" in self._inputs:
                inputs.setdefault("images", []).append(images)
            if self.extractor:
                extracted = self.extractor.extract(images)
                for name in ("features", "probabilities", "points"):
                    answer = getattr(extracted, name)
                    if answer is not None:
                        inputs.setdefault(name, []).append(answer)
        return inputs


class Evaluation:
    """The evaluation of one run, if its spec asks for one."""

    def __init__(
        self, state: TrainingState, spec: EvaluationSpec, reports: RunReporter, recorder: BackgroundWriter
    ) -> None:
        self._state = state
        self._spec = spec
        self._reports = reports
        self._recorder = recorder
        self._meter = SampleMeter(state, spec, self._log)
        self.every = spec.every

    def prepare(self, should_stop: Callable[[], bool]) -> None:
        """Get what is needed to measure, and log what will be measured, as SampleMeter does."""
        self._meter.prepare(should_stop)

    def report(self) -> None:
        """Draw and look at samples, and queue the metrics; nothing waits for the device."""
        inputs = self._meter.collect()
        self._recorder.put(partial(self._make_metrics, self._state.iteration, inputs))
        if self._spec.neighbour_grid:
            self._reports.report_neighbours(inputs["neighbours"])

    def _make_metrics(self, iteration: int, inputs: dict[Input, Any]) -> Event | None:
        values = self._meter.compute(inputs)
        return MetricsLogged(iteration=iteration, values=values) if values else None

    def _log(
        self,
        text: str,
        about: Literal["evaluation", "data"] | None = None,
        level: Literal["info", "warning"] = "info",
    ) -> None:
        line = LineLogged(iteration=self._state.iteration, text=text[:4000], about=about, level=level)
        self._recorder.put(lambda: line)


def prepare_evaluation(
    state: TrainingState, reports: RunReporter, recorder: BackgroundWriter, should_stop: Callable[[], bool]
) -> tuple[Evaluation | None, bool]:
    """Return the run's evaluation, None without one, and whether should_stop ended its classifier's training."""
    if state.spec.evaluation is None:
        return None, False
    evaluation = Evaluation(state, state.spec.evaluation, reports, recorder)
    try:
        evaluation.prepare(should_stop)
    except ClassifierAbandoned:
        return None, True
    return evaluation, False
