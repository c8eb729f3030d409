"""docs/tutorial.md, typed in as it stands, with fewer iterations and a small MNIST."""

import re
import shlex
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ganvas.cli import cli
from tests.support.processes import Command

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)
# What takes minutes there; and what the first section starts is started by the test itself.
_SHORTER = {"iterations=600": "iterations=20", "sample_every=50": "sample_every=10"}
_FAULT = " --set iterations=20 --set sample_every=10 --set log_every=10 --set checkpoint_every=20"
STARTING = ("make install", "source .venv/bin/activate", "ganvas up")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """300 pictures of each part in MNIST's own format."""
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for part in ("train", "t10k"):
        pictures = random.integers(0, 256, (300, 28, 28), dtype=np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 2051, 300, 28, 28) + pictures.tobytes()
        )
        labels = (np.arange(300) % 10).astype(np.uint8)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 300) + labels.tobytes())
    return tmp_path / "data"


@pytest.fixture
def service(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`ganvas up`, as the first section starts it."""
    monkeypatch.setenv("GANVAS_DATA", str(data))
    monkeypatch.setenv("GANVAS_HOME", str(tmp_path / "home"))
    process = Command("up", "--port", 0, "--data-dir", tmp_path / "home")
    url = process.read_until(r"answers at (http://\S+)").group(1)
    monkeypatch.setenv("GANVAS_URL", url)
    yield url
    process.end()


def shorten(command: str) -> str:
    for long, short in _SHORTER.items():
        command = command.replace(long, short)
    return command + _FAULT if "recipes/fault-" in command else command


def test_the_tutorial_does_what_it_says(service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path / "clone")
    said: dict[str, str] = {}
    ran = 0
    for kind, body in _BLOCK.findall(PAGE):
        if kind == "python":
            exec(compile(body, "docs/tutorial.md", "exec"), {})  # noqa: S102 (the page's own code)
            continue
        for line in body.splitlines():
            if line in STARTING:
                continue
            words = shlex.split(shorten(line))
            assert words[0] == "ganvas", line
            answer = CliRunner().invoke(cli, words[1:], catch_exceptions=False)
            assert answer.exit_code == 0, f"{line}\n{answer.output}"
            said[line] = answer.output
            ran += 1
    assert ran >= 12
    assert "first" in said["ganvas list"]
    assert "collapsing" in said["ganvas show collapsing"]
    assert Path("figure.pdf").read_bytes().startswith(b"%PDF")
    assert Path("losses.pdf").read_bytes().startswith(b"%PDF")
    assert Path("first.gif").read_bytes().startswith(b"GIF8")
