"""Two ways of the same training in one process, in turns, so that a busy machine slows both alike."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Protocol
from unittest import mock

from ganlib import trainer
from ganlib.events import Event
from ganlib.spec.job import JobSpec
from ganlib.training.recording.background_writer import BackgroundWriter
from ganlib.training.recording.run_reporter import RunReporter
from ganlib.training.state import TrainingState

OURS = "ganlib"


class Loop(Protocol):
    """A training loop that takes turns with ganlib's trainer."""

    def step(self) -> None:
        """Train one iteration."""


@dataclass(frozen=True)
class Seconds:
    """Time on the wall, and processor time of all threads."""

    wall: float
    processor: float

    def __sub__(self, other: "Seconds") -> "Seconds":
        """Return the time between two readings."""
        return Seconds(self.wall - other.wall, self.processor - other.processor)


def now() -> Seconds:
    return Seconds(perf_counter(), process_time())


def time_of(action: Callable[[], object], times: int = 1) -> Seconds:
    begin = now()
    for _ in range(times):
        action()
    return now() - begin


@dataclass
class Turns:
    """Lets the loops run between ganlib's iterations: it sits in the callable that asks whether to stop.

    ganlib's clock stops only when all events of its turn have been delivered. The first turn of each warms up.
    """

    spec: JobSpec
    loops: Mapping[str, Loop]
    steps: int
    seconds: dict[str, list[Seconds]] = field(default_factory=dict)
    _iteration: int = 0
    _begin: Seconds = field(default_factory=now)
    _recorder: BackgroundWriter | None = None

    def run(self) -> dict[str, list[Seconds]]:
        """Train to the spec's last iteration and return the time of each turn."""
        with TemporaryDirectory() as folder, mock.patch.object(trainer, "BackgroundWriter", self._make_writer):
            trainer.train(self.spec, Path(folder), _serialise, self._should_stop)
        return self.seconds

    def _make_writer(self, *arguments: Any) -> BackgroundWriter:
        self._recorder = BackgroundWriter(*arguments)
        return self._recorder

    def _should_stop(self) -> bool:
        # Asked after each iteration and before its own reports: those belong to the turn that begins.
        self._iteration += 1
        if self._iteration % self.steps == 1 or self.steps == 1:
            self._end_turn()
            self._begin = now()
        return False

    def _end_turn(self) -> None:
        if self._recorder is not None:
            self._recorder.drain()
        if self._iteration > self.steps + 1:
            self.seconds.setdefault(OURS, []).append(now() - self._begin)
        for name, loop in self.loops.items():
            taken = time_of(loop.step, self.steps)
            if self._iteration > 1:
                self.seconds.setdefault(name, []).append(taken)


def time_reports(state: TrainingState, grids: int = 5, checkpoints: int = 3) -> tuple[Seconds, Seconds]:
    """Return the time that one sample grid takes, and that of one checkpoint: medians, until delivered."""
    with TemporaryDirectory() as folder, BackgroundWriter(_serialise) as recorder:
        reports = RunReporter(state, Path(folder), recorder)
        reports.report_start()
        taken: list[list[Seconds]] = []
        for report, times in ((reports.report_samples, grids), (reports.report_checkpoint, checkpoints)):
            recorder.drain()
            taken.append([_time_report(report, recorder) for _ in range(times)])
    return _median(taken[0]), _median(taken[1])


def _time_report(report: Callable[[], None], recorder: BackgroundWriter) -> Seconds:
    begin = now()
    report()
    recorder.drain()
    return now() - begin


def _median(taken: list[Seconds]) -> Seconds:
    walls, processors = zip(*((one.wall, one.processor) for one in taken), strict=True)
    return Seconds(statistics.median(walls), statistics.median(processors))


def _serialise(event: Event) -> None:
    event.model_dump_json()
