import argparse
import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

import ganvas
from api.workers.schemas import GpuState
from ganvas.tracking.folder import FolderUnreadable
from ganvas.tracking.opening import read_config
from ganvas.tracking.sender import system
from ganvas.tracking.sender.system import SystemSampler


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
