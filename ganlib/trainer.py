"""The training loop: it owns the cadence; `train_step` owns the maths, `Reports` what is told."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from ganlib.evaluation.evaluator import prepare_evaluation
from ganlib.evaluation.transfer import TransferReports
from ganlib.events import Event
from ganlib.runtime.device import choose_device
from ganlib.runtime.process_group import Ranks, joined_ranks
from ganlib.runtime.random_streams import reproducible_torch
from ganlib.spec.job import JobSpec
from ganlib.training.checkpoint import load_checkpoint
from ganlib.training.recording.background_writer import Recorder
from ganlib.training.recording.disk_reserve import KeptRoom
from ganlib.training.recording.histograms import HistogramReports
from ganlib.training.recording.run_reporter import Reports, refuse_divergence
from ganlib.training.state import TrainingState, build_state
from ganlib.training.step import train_step


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
    on_no_room: Callable[[Exception], None] | None = None,
) -> StopReason:
    """Train until the spec's last iteration, or until should_stop, which is asked after each iteration.

    Files go below out_dir; on_event is called from one other thread, in order, and all has been delivered when
    this returns. resume_from is a checkpoint of the same run. The same spec and seed on the same hardware give
    the same bytes, stopped and resumed or not. Torch's global state is lent for the run and given back.

    Started by torchrun, each process calls this with the same arguments and computes its share of every batch;
    only the first writes files and calls on_event, and all stop when should_stop of any of them says so.

    A full disk ends the run, unless on_no_room is given: that hears of each sample grid or checkpoint that found
    no room, on the thread of on_event, and training goes on without it. The last checkpoint then has room that was
    kept for it from the beginning.

    Raises DatasetUnavailable, DeviceUnavailable, CheckpointInvalid, TrainingDiverged, CompilationFailed,
    NotDealable, ProcessLost, DiskFull, and what on_event raised.
    """
    device = choose_device(spec.device)

    def deliver(event: Event) -> None:
        on_event(event)
        refuse_divergence(event)

    with joined_ranks(spec.device) as ranks, reproducible_torch(device), Recorder(deliver, on_no_room) as recorder:
        state = build_state(spec, device, ranks)
        if resume_from is not None:
            load_checkpoint(resume_from, state)
        if not ranks.is_lead:
            return _follow(state, ranks, should_stop)
        reports = Reports(state, out_dir, recorder, KeptRoom(out_dir) if on_no_room else None)
        reports.report_start()
        evaluation, stopping = prepare_evaluation(state, reports, recorder, should_stop)
        histograms = HistogramReports(state, recorder)
        transfers = TransferReports(state, reports, recorder, should_stop)
        stopping = ranks.any(transfers.observe(stopping))
        reports.start_clock()
        if state.iteration == 0:
            reports.report_samples()
        while state.iteration < spec.iterations and not stopping:
            step = train_step(state)
            last = state.iteration == spec.iterations
            stopping = not last and should_stop()
            if state.iteration == 1 or last or state.iteration % spec.log_every == 0:
                reports.report_metrics(step)
            histograms.observe(step)
            if last or state.iteration % spec.sample_every == 0:
                reports.report_samples()
            if evaluation and (last or state.iteration % evaluation.every == 0):
                evaluation.report()
            stopping = ranks.any(transfers.observe(stopping))
            if last or stopping or state.iteration % spec.checkpoint_every == 0:
                reports.report_checkpoint(is_last=last or stopping)
        reason = StopReason.STOPPED if stopping else StopReason.COMPLETED
        reports.report_end(reason.value)
    return reason


def _follow(state: TrainingState, ranks: Ranks, should_stop: Callable[[], bool]) -> StopReason:
    """Compute this process's share of each iteration, as long as the lead goes on."""
    stopping = ranks.any(False)
    while state.iteration < state.spec.iterations and not stopping:
        train_step(state)
        last = state.iteration == state.spec.iterations
        stopping = ranks.any(not last and should_stop())
    return StopReason.STOPPED if stopping else StopReason.COMPLETED
