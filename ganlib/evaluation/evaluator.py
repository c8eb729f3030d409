"""What a run's judge says of its samples, every so many iterations; training is not touched by it.

The latents come from a stream of their own and are the same at each evaluation, so that figures of one run differ
by the generator alone. The samples are drawn by the network that draws the grids.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ganlib.datasets import load_train_and_test
from ganlib.evaluation.accuracy import AccuracyMeter
from ganlib.evaluation.classifier.network import JUDGES, Judge, Verdict
from ganlib.evaluation.classifier.store import obtain_judge
from ganlib.evaluation.classifier.training import JudgeAbandoned
from ganlib.evaluation.metrics.classes import (
    certainty,
    class_coverage,
    class_entropy,
    class_shares,
    classifier_score,
    label_agreement,
)
from ganlib.evaluation.metrics.frechet import frechet_distance
from ganlib.evaluation.metrics.neighbours import NeighbourSearch
from ganlib.evaluation.metrics.precision_recall import precision, recall
from ganlib.events import Event, LineLogged, MetricsLogged
from ganlib.runtime.random_streams import draw_labels, draw_latents, make_generator
from ganlib.spec.sections.evaluation import EvaluationSpec
from ganlib.training.recording.background_writer import Recorder
from ganlib.training.recording.run_reporter import Reports, choose_sampler
from ganlib.training.recording.samples import draw_samples
from ganlib.training.state import TrainingState

_CHUNK = 256
_NO_LABELS = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class Findings:
    """What metrics are made of: probabilities (N, K) and features (N, F) of the samples, on the CPU.

    labels: int64 (N,), the classes that a conditional generator was asked for. real_features: (M, F) of held-out
    images, M at most N. Empty what no metric of the run needs.
    """

    probabilities: Tensor
    features: Tensor
    labels: Tensor
    real_features: Tensor
    neighbours: NeighbourSearch
    least_share: float


# Each returns one number, or one for each class. `accuracy` is not of samples: AccuracyMeter has it.
METRICS: dict[str, Callable[[Findings], Tensor]] = {
    "classifier_score": lambda found: classifier_score(found.probabilities),
    "class_coverage": lambda found: class_coverage(found.probabilities, found.least_share),
    "class_entropy": lambda found: class_entropy(found.probabilities),
    "class_shares": lambda found: class_shares(found.probabilities),
    "certainty": lambda found: certainty(found.probabilities),
    "frechet_distance": lambda found: frechet_distance(found.real_features, found.features),
    "precision": lambda found: precision(found.real_features, found.features),
    "recall": lambda found: recall(found.real_features, found.features),
    "neighbour_distance": lambda found: found.neighbours.mean_distance(),
    "label_agreement": lambda found: label_agreement(found.probabilities, found.labels),
}
_NEED_REAL_FEATURES = {"frechet_distance", "precision", "recall"}


class Evaluation:
    """The judge of one run, if its spec asks for one."""

    _judge: Judge | None = None
    _accuracy: AccuracyMeter | None = None
    _real_features: Tensor = torch.empty(0, 0)

    def __init__(self, state: TrainingState, spec: EvaluationSpec, reports: Reports, recorder: Recorder) -> None:
        self._state = state
        self._spec = spec
        self._reports = reports
        self._recorder = recorder
        self.every = spec.every

    def prepare(self, should_stop: Callable[[], bool]) -> None:
        """Get the judge, trained now if it has to be, and the test images, and say what will be measured.

        Raises DatasetUnavailable, and JudgeAbandoned once should_stop says so.
        """
        state = self._state
        if "accuracy" in self._spec.metrics:
            self._accuracy = AccuracyMeter(state)
            self._say(self._accuracy.describe())
        if self._spec.needs_judge:
            self._judge = obtain_judge(state.spec.dataset.name, state.device, self._say, should_stop)
            self._real_features = self._look_at_real_images(self._judge)
            self._say(f"The eval figures are of {self._spec.samples:,} samples each, by the {self._judge.facts}.")

    def report(self) -> None:
        """Draw samples, let the judge look at them, and queue the figures; nothing waits for the device."""
        state = self._state
        verdicts, labels = self._judge_samples(self._judge) if self._judge else ([], _NO_LABELS)
        wants_grid = self._spec.neighbour_grid or "neighbour_distance" in self._spec.metrics
        grid_images = (
            draw_samples(choose_sampler(state), state.fixed_latents, state.fixed_labels)
            if wants_grid
            else state.images[:0]
        )
        errors = self._accuracy.count_errors() if self._accuracy else {}
        neighbours = NeighbourSearch(grid_images, state.images)
        self._recorder.put(partial(self._make_metrics, state.iteration, verdicts, labels, neighbours, errors))
        if self._spec.neighbour_grid:
            self._reports.report_neighbours(neighbours)

    def _judge_samples(self, judge: Judge) -> tuple[list[Verdict], Tensor]:
        """Return what the judge says of the samples, and the labels (N,) that were asked for, on the CPU."""
        spec, sampler = self._state.spec, choose_sampler(self._state)
        generator = make_generator(torch.device("cpu"), spec.seed, "evaluation latents")
        inputs, labels = [draw_latents(spec.latents, self._spec.samples, generator)], _NO_LABELS
        if self._state.fixed_labels is not None:
            labels = draw_labels(spec.dataset.class_count, self._spec.samples, generator)
            inputs.append(labels)
        # In chunks, so that many samples need no more memory than few.
        chunks = zip(*(torch.split(given.to(self._state.device), _CHUNK) for given in inputs), strict=True)
        return [judge.judge_images(draw_samples(sampler, *chunk)) for chunk in chunks], labels

    def _make_metrics(
        self,
        iteration: int,
        verdicts: list[Verdict],
        labels: Tensor,
        neighbours: NeighbourSearch,
        errors: dict[str, Tensor],
    ) -> Event:
        found = Findings(
            _joined([verdict.probabilities for verdict in verdicts]),
            _joined([verdict.features for verdict in verdicts]),
            labels,
            self._real_features,
            neighbours,
            self._spec.least_share,
        )
        values: dict[str, float] = {}
        for name in self._spec.metrics:
            if name in METRICS:
                values |= _name_values(f"eval/{name}", METRICS[name](found))
        if self._accuracy:
            values |= self._accuracy.name_values(errors)
        return MetricsLogged(iteration=iteration, values=values)

    def _look_at_real_images(self, judge: Judge) -> Tensor:
        """Return features (M, F) of held-out images, evenly picked, as many as samples if there are so many."""
        if not _NEED_REAL_FEATURES & set(self._spec.metrics):
            return torch.empty(0, 0)
        _, held_out = load_train_and_test(JUDGES[self._state.spec.dataset.name].dataset)
        images = held_out.images
        picked = torch.linspace(0, len(images) - 1, min(len(images), self._spec.samples)).round().long()
        return judge.judge_images(images[picked].to(self._state.device)).features.cpu()

    def _say(self, text: str) -> None:
        line = LineLogged(iteration=self._state.iteration, text=text[:4000])
        self._recorder.put(lambda: line)


def prepare_evaluation(
    state: TrainingState, reports: Reports, recorder: Recorder, should_stop: Callable[[], bool]
) -> tuple[Evaluation | None, bool]:
    """Return the run's evaluation, None without one, and whether should_stop ended the training of its judge."""
    if state.spec.evaluation is None:
        return None, False
    evaluation = Evaluation(state, state.spec.evaluation, reports, recorder)
    try:
        evaluation.prepare(should_stop)
    except JudgeAbandoned:
        return None, True
    return evaluation, False


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts).cpu() if parts else torch.empty(0, 0)


def _name_values(name: str, value: Tensor) -> dict[str, float]:
    """Return one number under the name, or several under name_0, name_1, …."""
    if value.dim() == 0:
        return {name: value.item()}
    return {f"{name}_{index}": number for index, number in enumerate(value.tolist())}
