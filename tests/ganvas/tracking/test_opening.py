import argparse
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

import ganvas
from api.client.transport import Transport
from api.workers.schemas import GpuState
from ganvas import Client
from ganvas.tracking.attempts import split_attempts
from ganvas.tracking.commands import sync_run
from ganvas.tracking.folder import FolderUnreadable, RunFolder
from ganvas.tracking.link import SenderLink
from ganvas.tracking.opening import read_config
from ganvas.tracking.sender import system
from ganvas.tracking.sender.position import RunElsewhere
from ganvas.tracking.sender.system import SystemSampler
from tests.conftest import LiveService


@dataclasses.dataclass
class Options:
    lr: float = 0.1


class Model(BaseModel):
    lr: float = 0.1


@pytest.mark.parametrize(
    "config", [{"lr": 0.1}, argparse.Namespace(lr=0.1), Options(), Model(), {"lr": np.float64(0.1)}]
)
def test_a_configuration_of_any_form_is_taken(config: Any) -> None:
    assert read_config(config) == {"lr": 0.1}


def test_what_json_cannot_hold_becomes_text() -> None:
    found = read_config({"path": Path("a"), "nan": float("nan"), 1: (1, {2}), "big": 2**70, "bad": "a\ud800\0"})
    assert found == {"path": "a", "nan": "nan", "1": [1, [2]], "big": str(2**70), "bad": "a\ufffd\ufffd"}


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"mode": "sometimes"}, ValueError, "must be one of online, offline, disabled"),
        ({"tags": "mnist"}, TypeError, "tags must be a list of texts"),
        ({"tags": ["a,b"]}, ValueError, "a tag: "),
        ({"config": [1]}, TypeError, "config must be a dictionary"),
        ({"config": {"a": "x" * 300_000}}, ValueError, "run.file"),
        ({"iterations": 0}, ValueError, "whole number from 1 on"),
        ({"name": "a\nb"}, ValueError, "printable"),
        ({"name": 5}, TypeError, "name must be text"),
        ({"note": "x" * 10_001}, ValueError, "note must be text"),
        ({"resume": True, "mode": "offline"}, ValueError, "name the folder"),
        ({"resume": "no-such-key", "mode": "offline"}, FolderUnreadable, "none of this key"),
        ({"resume_at": 5}, ValueError, "belongs to resume="),
        ({"resume_at": -1, "resume": True, "dir": "a"}, ValueError, "step must be from 0"),
    ],
)
def test_wrong_arguments_of_init_raise_with_what_to_do(
    arguments: dict[str, Any], error: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_HOME", str(tmp_path))
    with pytest.raises(error, match=said):
        ganvas.init(**{"mode": "disabled", **arguments})
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_disabled_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_HOME", str(tmp_path))
    monkeypatch.setenv("GANVAS_MODE", "disabled")
    with ganvas.init("nothing", config={"a": 1}) as run:
        run.log({"a": 1.0})
    assert (run.folder, list(tmp_path.iterdir())) == (None, [])


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Runs without a sender, below a home that can be changed."""
    monkeypatch.setattr(SenderLink, "start", lambda self: None)
    monkeypatch.setattr(SenderLink, "finish", lambda self, ended: "gone")

    def move(home: str) -> None:
        monkeypatch.setenv("GANVAS_HOME", str(tmp_path / home))

    monkeypatch.setenv("GANVAS_URL", "http://127.0.0.1:9")
    move("home")
    return move


def record(last: int, first: int = 0, **given: Any) -> Path:
    with ganvas.init(**{"name": "my gan", "mode": "offline", **given}) as run:
        assert run.step == first - 1
        for step in range(first, last + 1):
            run.log({"g_loss": float(step)}, step=step)
        assert run.folder is not None
        return run.folder


def test_a_run_goes_on_by_what_names_it_where_its_folder_is(alone: Any, tmp_path: Path) -> None:
    folder = record(3)
    key = RunFolder(folder).read_header()["key"]
    RunFolder(folder).write_position("http://any", "abcdefghijkl", 1)
    names = (folder, key, key[:6], "abcdefghijkl", "abcdef", "my gan")
    for place, named in enumerate(names):
        assert record(4 + place, 4 + place, resume=named) == folder
    # By the name alone, once begun.
    assert record(10, 10, resume=True) == folder
    attempts = RunFolder(folder)
    assert [part.number for part in split_attempts(attempts.read_header())] == list(range(1, 9))
    # From an earlier step; a process that wrote nothing is no attempt.
    for _ in range(2):
        with ganvas.init(resume=key, resume_at=5, mode="offline") as run:
            assert (run.step, run.name) == (5, "my gan")
    last = split_attempts(attempts.read_header())[-1]
    assert (last.number, last.opening["resume_at"]) == (9, 5)
    # Of two runs of one name nobody can say which is meant.
    other = record(0)
    assert other != folder
    for given in ({"resume": "my gan"}, {"resume": True}):
        with pytest.raises(FolderUnreadable, match="Several runs are called 'my gan'"):
            ganvas.init("my gan", mode="offline", **given)
    # The control: another name begins a run.
    assert record(0, name="my other gan", resume=True) not in (folder, other)


def test_a_run_goes_on_from_the_service_on_another_machine(
    alone: Callable[[str], None], live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = record(9)
    alone("another machine")
    with Transport(live_service.url) as transport, Client(live_service.url) as client:
        sync_run(folder, transport)
        (job,) = client.list()
        with pytest.raises(FolderUnreadable, match="no service is asked offline"):
            record(0, resume=job.id)
        with pytest.raises(FolderUnreadable, match="no service could be asked: No Ganvas service answers"):
            record(0, resume=job.id, mode="online")
        monkeypatch.setenv("GANVAS_URL", live_service.url)
        with pytest.raises(FolderUnreadable, match="has none"):
            record(0, resume="no such run", mode="online")
        for place, (named, first, given) in enumerate(
            (
                (job.id[:6], 10, {}),
                ("my gan", 6, {"resume_at": 5}),
                (True, 12, {}),
            )
        ):
            alone(f"machine {place}")
            moved = record(11, first, resume=named, mode="online", **given)
            sync_run(moved, transport)
            assert list(client.curves(job.id, "g_loss")["g_loss"].iterations) == list(range(12))
        ended = client.get(job.id)
        assert [(each.attempt, each.resumed_from) for each in ended.attempts] == [(1, 0), (2, 9), (3, 5), (4, 11)]
        # What the first machine has left is neither doubled nor lost.
        assert sync_run(folder, transport) == "nothing new: the run has gone on elsewhere, in attempt 4"
        with RunFolder.take_over(folder) as left:
            left.append({"kind": "line_logged", "iteration": 9, "text": "later"})
        with pytest.raises(RunElsewhere, match="in attempt 4, before the last 1 events of this folder were sent"):
            sync_run(folder, transport)
        assert len(list(client.list())) == 1


def test_the_machine_is_sampled_with_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = GpuState(index=1, name="any", memory_total=2**34, memory_used=2**33, utilisation=0.25)
    monkeypatch.setattr(system, "read_gpu_states", lambda: [gpu])
    sampler = SystemSampler(os.getpid())
    sum(range(1_000_000))
    values = sampler.sample()
    assert (values["system/gpu_1"], values["system/gpu_1_memory"]) == (25.0, 8.0)
    assert 0 <= values.get("system/cpu", 0.0) <= 100
    assert 0 < values["system/memory"] < 100
    assert 0 < values["system/process_memory"] < 1000
    # A process that has gone is left out.
    assert "system/process_memory" not in SystemSampler(2**22 + 1).sample()
