"""The unmodified client of MLflow, in an environment of its own, against this service and MLflow's own server.

`answers.json` is what `scenario.py` wrote against MLflow 3.17.2's own server (`mlflow server` with SQLite); the
service must answer the same, value by value and field by field.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

from tests.conftest import LiveService

# The client without its server's and models' libraries, and what its pictures and tables need.
PINNED = ("mlflow-skinny==3.17.2", "numpy==2.4.6", "pandas==3.1.1", "pillow==13.0.0", "psutil==7.2.2")
SCENARIO, ANSWERS = Path(__file__).with_name("scenario.py"), Path(__file__).with_name("answers.json")
# Where MLflow's own server shows a statement of its database.
WORDED = {
    "its name again": "RESOURCE_ALREADY_EXISTS: RESOURCE_ALREADY_EXISTS: Experiment(name=other) already exists."
}
INSTALL_SECONDS, SCENARIO_SECONDS = 240, 120


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The Python of an environment that holds the client; it is made once on a machine, and then kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganvas-tests"
    name = hashlib.sha256(" ".join((*PINNED, sys.version)).encode()).hexdigest()[:12]
    folder = cache / f"mlflow-{name}"
    python, stamp = folder / "bin" / "python", folder / "complete"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(cache / f"{folder.name}.lock", timeout=INSTALL_SECONDS):
            if not stamp.exists():
                install(folder, python)
                stamp.touch()
    except (subprocess.SubprocessError, OSError, Timeout) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        pytest.skip(f"MLflow's client cannot be installed here: {said[-1] if said else error}")
    return python


def install(folder: Path, python: Path) -> None:
    options: dict[str, Any] = {"check": True, "capture_output": True, "text": True, "timeout": INSTALL_SECONDS}
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], **options)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--retries", "1"]
    subprocess.run([*pip, *PINNED], **options)


@pytest.fixture
def run_scenario(client_python: Path, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Run the client's scenario against a server; returns what the client saw."""

    def run(url: str) -> dict[str, Any]:
        path = tmp_path / "answers.json"
        # The client records the repository that its script lies in; here it lies in none.
        scenario = shutil.copy(SCENARIO, tmp_path)
        # Nothing of these tests' own paths and settings.
        kept = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
        ended = subprocess.run(
            [client_python, scenario, url, path],
            cwd=tmp_path,
            env=kept,
            capture_output=True,
            text=True,
            timeout=SCENARIO_SECONDS,
        )
        assert ended.returncode == 0, ended.stderr[-4000:]
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    return run


def test_the_unmodified_client_sees_what_mlflows_own_server_answers(
    live_service: LiveService, run_scenario: Callable[[str], dict[str, Any]]
) -> None:
    found, own = run_scenario(live_service.url), json.loads(ANSWERS.read_text())
    assert own["answers"]["its name again"] != WORDED["its name again"]
    answers = {name: (found["answers"].get(name), answer) for name, answer in (own["answers"] | WORDED).items()}
    assert {name: pair for name, pair in answers.items() if pair[0] != pair[1]} == {}
    shapes = {call: (found["shapes"].get(call), fields) for call, fields in own["shapes"].items()}
    assert {call: pair for call, pair in shapes.items() if pair[0] != pair[1]} == {}
    assert (found["answers"].keys(), found["shapes"].keys()) == (own["answers"].keys(), own["shapes"].keys())
