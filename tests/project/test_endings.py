"""Whoever ends a run of the tests, even outright, is left with none of the processes that it started."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.faults.machines import is_alive, wait_until
from tests.support.processes import STARTER_VARIABLE

ROOT = Path(__file__).parents[2]
needs_setpriv = pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv, a part of Linux, is missing")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != STARTER_VARIABLE}
ENVIRONMENT["PYTHONPATH"] = str(ROOT)

WAITING_TEST = """
import pathlib, time, pytest

@pytest.fixture
def tidy():
    yield
    pathlib.Path("tidied").touch()

def test_that_waits(tidy):
    print("waiting", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("is_orderly", [True, False], ids=["orderly", "control"])
def test_a_run_that_is_told_to_end_tidies_up_first(tmp_path: Path, is_orderly: bool) -> None:
    (tmp_path / "test_waiting.py").write_text(WAITING_TEST)
    plugins = ["-p", "no:cacheprovider", *(["-p", "tests.support.endings"] if is_orderly else [])]
    command = [sys.executable, "-m", "pytest", "-s", *plugins, "test_waiting.py"]
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert any("waiting" in line for line in run.stdout)
        run.terminate()
        run.stdout.read()
    assert (tmp_path / "tidied").exists() == is_orderly
    assert run.returncode == (pytest.ExitCode.INTERRUPTED if is_orderly else -signal.SIGTERM)


def start_and_kill(program: str, environment: dict[str, str] = ENVIRONMENT) -> int:
    """Run a program that prints the id of a process that it started, and kill it outright; returns that id."""
    command = [sys.executable, "-c", f"{program}; import time; time.sleep(600)"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
    return child


@needs_setpriv
@pytest.mark.parametrize("is_forked", [True, False], ids=["forked", "executed"])
def test_a_worker_of_the_tests_ends_with_a_run_that_is_killed(tmp_path: Path, is_forked: bool) -> None:
    program = (
        "from pathlib import Path; from tests.support.faults.machines import Worker;"
        f"print(Worker('http://127.0.0.1:9', Path({str(tmp_path)!r})).process.pid, flush=True)"
    )
    starter = {STARTER_VARIABLE: os.environ[STARTER_VARIABLE]} if is_forked else {}
    child = start_and_kill(program, ENVIRONMENT | starter)
    wait_until(lambda: not is_alive(child))


@needs_setpriv
def test_what_is_started_without_that_goes_on() -> None:
    program = "import subprocess; print(subprocess.Popen(['sleep', '600'], stdout=-3).pid, flush=True)"
    child = start_and_kill(program)
    assert is_alive(child)
    os.kill(child, signal.SIGKILL)
