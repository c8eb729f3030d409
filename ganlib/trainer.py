"""The training loop: it owns the cadence; `train_step` owns the maths, `RunReporter` the events."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from ganlib.errors import StoppedByFault
from ganlib.evaluation.evaluator import prepare_evaluation
from ganlib.evaluation.examiner import Examiner
from ganlib.evaluation.transfer import TransferReports
from ganlib.events import Event
from ganlib.runtime.device import choose_device
from ganlib.runtime.failures import said_plainly
from ganlib.runtime.process_group import ProcessGroup, join_process_group
from ganlib.runtime.random_streams import reproducible_torch
from ganlib.spec.job import JobSpec
from ganlib.training.checkpoint import load_checkpoint
from ganlib.training.recording.background_writer import BackgroundWriter
from ganlib.training.recording.disk_reserve import DiskReserve
from ganlib.training.recording.histograms import HistogramReporter
from ganlib.training.recording.run_reporter import RunReporter
from ganlib.training.state import TrainingState, build_state
from ganlib.training.step import train_step
from ganlib.training.torch_compile import cache_of


class StopReason(StrEnum):
    """Why the loop ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"


def train(
    spec: JobSpec,
    out_dir: Path,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
    resume_from: Path | None = None,
    on_disk_full: Callable[[Exception], None] | None = None,
) -> StopReason:
    """Train until the spec's last iteration, or until should_stop, which is asked after each iteration.

    Files are written below out_dir; on_event is called from one other thread, in order, and all events have been
    delivered when this returns. resume_from is a checkpoint of the same run. The same spec and seed on the same
    hardware, with as many threads, give the same bytes, stopped and resumed or not. Torch's global state is lent
    for the run and given back.

    Started by torchrun, each process calls this with the same arguments and computes its shard of every batch;
    only the first writes files and calls on_event, and all stop when should_stop of any of them returns true.

    A full disk ends the run, unless on_disk_full is given: it is called with the error of each sample grid or
    checkpoint that found no room, on the thread of on_event, and training continues without that file. The last
    checkpoint then has room that was reserved for it at the beginning.

    Raises DatasetUnavailable, DeviceUnavailable, CheckpointInvalid, DataChanged, TrainingDiverged,
    CompilationFailed, StoppedByFault, NotShardable, ProcessLost, DiskFull, OutOfMemory, and any error of on_event.
    """
    device = choose_device(spec.device)
    with (
        said_plainly(),
        join_process_group(spec.device) as processes,
        reproducible_torch(device),
        cache_of(spec) as compiled,
        BackgroundWriter(on_event, on_disk_full) as writer,
    ):
        state = build_state(spec, device, processes)
        notice = load_checkpoint(resume_from, state) if resume_from is not None else ""
        if not processes.is_lead:
            return _follow(state, processes, should_stop)
        reporter = RunReporter(state, out_dir, writer, DiskReserve(out_dir) if on_disk_full else None)
        reporter.report_start(notice)
        evaluation, stopping = prepare_evaluation(state, reporter, writer, should_stop)
        histograms = HistogramReporter(state, writer)
        examiner = Examiner(state, writer)
        reporter.remember, reporter.on_break = examiner.memory, examiner.report_break
        transfers = TransferReports(state, reporter, writer, should_stop)
        stopping = processes.any(transfers.observe(stopping))
        examiner.keep()
        reporter.start_clock()
        if state.iteration == 0:
            reporter.report_samples()
        while state.iteration < spec.iterations and not stopping:
            examiner.before_step()
            step = train_step(state)
            reporter.observe(step)
            last = state.iteration == spec.iterations
            stopping = not last and should_stop()
            if state.iteration == 1 or last or state.iteration % spec.log_every == 0:
                reporter.report_metrics(step)
            histograms.observe(step)
            if last or state.iteration % spec.sample_every == 0:
                reporter.report_samples()
            fault = examiner.observe(step)
            if evaluation and (last or state.iteration % evaluation.every == 0):
                evaluation.report()
            stopping = processes.any(transfers.observe(stopping or bool(fault)))
            if last or stopping or state.iteration % spec.checkpoint_every == 0:
                reporter.report_checkpoint(is_last=last or stopping)
                examiner.keep()
                if compiled:
                    compiled.seal()
            if fault:
                raise StoppedByFault(fault, state.iteration)
        reason = StopReason.STOPPED if stopping else StopReason.COMPLETED
        reporter.report_end(reason.value)
    return reason


def _follow(state: TrainingState, processes: ProcessGroup, should_stop: Callable[[], bool]) -> StopReason:
    """Compute this process's shard of each iteration until the lead stops."""
    stopping = processes.any(False)
    while state.iteration < state.spec.iterations and not stopping:
        train_step(state)
        last = state.iteration == state.spec.iterations
        stopping = processes.any(not last and should_stop())
    return StopReason.STOPPED if stopping else StopReason.COMPLETED
