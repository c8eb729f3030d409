"""When classifiers are trained on a run's discriminator, and what is told of them; the GAN does not notice."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from ganlib.events import Event, LineLogged, MetricsLogged
from ganlib.recorder import Recorder
from ganlib.reports import Reports
from ganlib.sections.transfer import TransferSpec
from ganlib.state import TrainingState
from ganlib.transfer.classifier import build_first_layers, copy_layers
from ganlib.transfer.training import TransferAbandoned, TransferTask, load_task, train_classifier

Errors = dict[int, Tensor]


class TransferReports:
    """The classifiers of one run, if its spec asks for any."""

    _task: TransferTask
    _from_scratch: Errors | None = None

    def __init__(
        self, state: TrainingState, reports: Reports, recorder: Recorder, should_stop: Callable[[], bool]
    ) -> None:
        """Load what is to be learnt. Raises DatasetUnavailable, LabelBudgetInvalid."""
        self._state = state
        self._reports = reports
        self._recorder = recorder
        self._should_stop = should_stop
        if state.spec.transfer:
            self._task = load_task(state, state.spec.transfer)
            self._say(_describe(state, state.spec.transfer, self._task))

    def observe(self, stopping: bool) -> bool:
        """Train the classifiers that are due after this iteration; return whether the run is to stop.

        To be called after each iteration, and before the first one: what a stop cut short is made up for where the
        run goes on, from the same weights, so with the same figures.
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
        self._say(f"Training a classifier on the discriminator's layers of iteration {state.iteration:,}{beside}.")
        if self._from_scratch is None:
            self._from_scratch = train(lambda: build_first_layers(state, count), self._should_stop)
        errors = train(lambda: copy_layers(state.networks.discriminator, count), self._should_stop)
        self._recorder.put(partial(self._make_metrics, state.iteration, errors, self._from_scratch))

    def _make_metrics(self, iteration: int, errors: Errors, from_scratch: Errors) -> Event:
        values = self._name_values("accuracy", errors) | self._name_values("scratch_accuracy", from_scratch)
        return MetricsLogged(iteration=iteration, values=values)

    def _name_values(self, name: str, errors: Errors) -> dict[str, float]:
        """Return `transfer/<name>` after the last step, and `transfer/<name>_after_<steps>` after those before."""
        last = max(errors)
        return {
            f"transfer/{name}" + ("" if step == last else f"_after_{step}"): 1
            - wrong.item() / len(self._task.test_labels)
            for step, wrong in errors.items()
        }

    def _say(self, text: str) -> None:
        line = LineLogged(iteration=self._state.iteration, text=text)
        self._recorder.put(lambda: line)


def _describe(state: TrainingState, spec: TransferSpec, task: TransferTask) -> str:
    return (
        f"Transfer: {spec.iterations:,} steps of a classifier on the discriminator's first {spec.kept_layers} of "
        f"{len(state.spec.discriminator.layers)} layers{', which stay frozen,' if spec.frozen else ''} with "
        f"{len(task.labels):,} of {task.pool:,} labels; its accuracy is of all {len(task.test_labels):,} test "
        "images."
    )
