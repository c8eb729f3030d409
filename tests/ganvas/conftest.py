"""The command line as a user meets it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ganvas.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit status and both outputs."""

    status: int
    out: str
    err: str


RunCommand = Callable[..., Outcome]

TINY_SPEC = {
    "name": "tiny",
    "dataset": "digits",
    "latents": {"size": 4},
    "generator": {
        "layers": [{"layer": "dense", "size": 64}, "tanh", {"layer": "reshape", "shape": [1, 8, 8]}],
    },
    "discriminator": {"layers": [{"layer": "dense", "size": 1}]},
    "iterations": 20,
    "batch_size": 8,
    "sample_every": 10,
    "checkpoint_every": 10,
    "samples": {"rows": 2, "columns": 2},
    "precision": "float32",
}


@pytest.fixture
def tiny_spec(tmp_path: Path) -> Path:
    """A spec that trains in a second."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY_SPEC), encoding="utf-8")
    return path


@pytest.fixture
def ganvas(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """Run `ganvas …` in this process."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["ganvas", *map(str, arguments)])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as ended:
            status = int(ended.code or 0)
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run
