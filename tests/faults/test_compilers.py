"""A trainer that is killed while torch compiles: half a library harms no later run on that machine."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from ganlib.runtime.compile_cache import TORCH_VARIABLE, compile_cache
from tests.faults.conftest import IS_LONG, SEED, Say
from tests.support.processes import Command
from tests.support.training import DIGITS_SPEC

# Writes half of a library, as a linker does, and says so; it is killed before it writes the rest.
COMPILER = f"""
import os, time
from pathlib import Path
from ganlib.runtime.compile_cache import compile_cache
with compile_cache("a spec"):
    (Path(os.environ["{TORCH_VARIABLE}"]) / "kernel.so").write_bytes(b"half a library")
    print("compiling", flush=True)
    time.sleep(600)
"""
KILLS = 5


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all caches, of which nothing else knows."""
    monkeypatch.delenv(TORCH_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/ganvas/compiled"


def test_half_a_library_of_a_killed_process_is_gone_for_the_next_one(cache: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", COMPILER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "compiling\n"
        assert [path.read_bytes() for path in cache.rglob("*.so")] == [b"half a library"]
        process.kill()
    process.wait()
    with compile_cache("a spec") as found:
        assert found.is_fresh
        assert list(cache.rglob("*.so")) == []


@pytest.mark.skipif(not IS_LONG, reason="compiles for minutes; the long form runs it")
def test_trainers_killed_while_torch_compiles_are_followed_by_one_that_trains(
    cache: Path, tmp_path: Path, say: Say
) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump({**DIGITS_SPEC, "speed": {"compile": True}}))
    random_state = random.Random(SEED)
    for _ in range(KILLS):
        trainer = Command("train", spec, "--out", tmp_path / "run")
        while not list(cache.rglob("*.cpp")):
            assert trainer.process.poll() is None
            time.sleep(0.01)
        time.sleep(random_state.uniform(0, 3))
        trainer.process.kill()
        trainer.wait()
    last = Command("train", spec, "--out", tmp_path / "run")
    assert last.wait() == 0, last.output
    say(
        "trainer killed (SIGKILL) while torch compiles",
        KILLS,
        "the next one compiles anew and trains to its end",
        "it did",
    )
