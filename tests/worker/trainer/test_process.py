"""The trainer process: what it leaves behind, whichever way it ends."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import ganlib.trainer
from ganlib.errors import DatasetUnavailable
from ganlib.events import LineLogged, MetricsLogged
from worker.attempt.result import read_result
from worker.attempt.run_dir import RunDir
from worker.spool.spool import SpooledEvent, SpoolReader, SpoolWriter
from worker.trainer.process import SpoolingEvents, SpoolingHandler, StopFlag, run_training


@pytest.fixture
def run_dir(tmp_path: Path, tiny_spec: dict[str, Any], make_run_dir) -> RunDir:
    return make_run_dir(tmp_path, "job", 1, tiny_spec)


def read_events(run_dir: RunDir) -> list[SpooledEvent]:
    reader, events = SpoolReader(run_dir.spool_path), []
    while (batch := reader.find_batch()) is not None:
        events += batch.events
        reader.move_to(batch.next_seq)
    return events


def test_events_stand_in_the_spool_when_training_returns(run_dir: RunDir) -> None:
    events = SpoolingEvents(SpoolWriter(run_dir.spool_path))
    result = run_training(run_dir, events, StopFlag())
    assert result.end == "completed"
    kinds = [event.kind for event in read_events(run_dir)]
    assert (kinds[0], kinds[-1]) == ("training_started", "training_ended")


def test_a_stop_that_was_asked_for_ends_with_a_checkpoint(run_dir: RunDir) -> None:
    stop = StopFlag()
    stop.set_by_signal(signal.SIGTERM, None)
    result = run_training(run_dir, SpoolingEvents(SpoolWriter(run_dir.spool_path)), stop)
    assert result.end == "stopped"
    assert [event.kind for event in read_events(run_dir)][-2:] == ["checkpoint_saved", "training_ended"]


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (DatasetUnavailable("mnist is not there"), "dataset_unavailable", "mnist is not there"),
        (MemoryError("no more"), "out_of_memory", "batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory", "batch_size"),
        (ZeroDivisionError("division by zero"), "trainer_crashed", "ZeroDivisionError: division by zero"),
        (KeyboardInterrupt(), "trainer_crashed", "KeyboardInterrupt"),
    ],
)
def test_an_exception_becomes_a_typed_result(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: str, part: str
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(ganlib.trainer, "train", fail)
    result = run_training(run_dir, SpoolingEvents(SpoolWriter(run_dir.spool_path)), StopFlag())
    assert (result.end, result.code) == ("failed", code)
    assert part in result.message
    assert "Traceback (most recent call last)" in result.traceback
    assert json.loads(read_events(run_dir)[-1].line)["event"]["level"] == "error"


def test_a_spec_that_is_not_valid_fails_by_name(run_dir: RunDir) -> None:
    run_dir.spec_path.write_text("{}")
    result = run_training(run_dir, SpoolingEvents(SpoolWriter(run_dir.spool_path)), StopFlag())
    assert (result.end, result.code) == ("failed", "spec_invalid")


def test_warnings_are_log_lines_at_the_iteration_that_was_last_seen(run_dir: RunDir) -> None:
    events = SpoolingEvents(SpoolWriter(run_dir.spool_path))
    events.add(MetricsLogged(iteration=30, values={"loss/generator": 1.0}))
    logger = logging.Logger("test")
    logger.addHandler(SpoolingHandler(events))
    logger.info("nobody needs this")
    logger.warning("the learning rate is %s", "high")
    lines = [json.loads(event.line)["event"] for event in read_events(run_dir)][1:]
    assert [LineLogged.model_validate(line) for line in lines] == [
        LineLogged(iteration=30, level="warning", text="the learning rate is high")
    ]


def test_a_trainer_dies_with_its_supervisor(run_dir: RunDir) -> None:
    spec = json.loads(run_dir.spec_path.read_text())
    run_dir.spec_path.write_text(json.dumps({**spec, "iterations": 10_000_000, "sample_every": 1_000_000}))
    program = (
        "import time; from pathlib import Path; from worker.attempt.run_dir import RunDir;"
        "from worker.trainer.launcher import LaunchedTrainer;"
        f"print(LaunchedTrainer(RunDir(Path({str(run_dir.path)!r}), 'job', 1)).pid, flush=True); time.sleep(600)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    trainer = int(supervisor.stdout.readline())
    while not read_events(run_dir):
        time.sleep(0.05)
    assert os.getsid(trainer) == trainer
    supervisor.kill()
    supervisor.communicate()
    deadline = time.monotonic() + 10
    while _is_alive(trainer) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(trainer)
    assert read_result(run_dir.result_path) is None


def _is_alive(pid: int) -> bool:
    try:
        # A zombie that its new parent has not waited for is dead as well.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
