"""`ganvas demo`: the first thing that a newcomer runs; once forked, and once executed as by a person."""

import re
from pathlib import Path

import pytest

from ganvas import Client
from tests.support.faults.machines import wait_until
from tests.support.processes import Command


@pytest.fixture
def no_mnist(tmp_path: Path) -> Path:
    """A data folder whose MNIST cannot be read, so that the demo falls back at once and without a network."""
    (tmp_path / "data" / "MNIST" / "raw").mkdir(parents=True)
    return tmp_path / "data"


def test_demo_falls_back_to_digits_and_goes_on_after_ctrl_c(tmp_path: Path, no_mnist: Path) -> None:
    # No machine has done so many before the signal arrives.
    arguments = ("demo", "--exit", "--iterations", 1_000_000, "--port", 0, "--data-dir", tmp_path / "home")
    demo = Command(*arguments, GANVAS_DATA=str(no_mnist))
    demo.read_until(r"MNIST .* Training on scikit-learn's 1,797 digits instead")
    url, job_id = demo.read_until(r"Watch it learn:\s+(http://\S+)/runs/(\w+)").groups()
    demo.read_until(r"^running, iteration \d+ of 1,000,000")
    with Client(url) as client:
        wait_until(lambda: client.get(job_id).iteration)
    assert demo.end() == 130
    assert "run the same command again" in demo.output

    demo = Command(*arguments, GANVAS_DATA=str(no_mnist))
    resumed = demo.read_until(r"Continuing (\w+) at iteration ([\d,]+) of 1,000,000")
    assert resumed.group(1) == job_id
    assert resumed.group(2) != "0"
    url = demo.read_until(r"Watch it learn:\s+(http://\S+)/runs/").group(1)
    with Client(url) as client:
        client.cancel(job_id)
    assert demo.wait() == 1
    assert "The job was cancelled" in demo.output
    assert not (tmp_path / "home" / "service.json").exists()


def test_demo_uses_a_service_that_already_runs(tmp_path: Path, no_mnist: Path) -> None:
    home = tmp_path / "home"
    service = Command("up", "--port", 0, "--data-dir", home, GANVAS_DATA=str(no_mnist))
    url = service.read_until(r"answers at (http://\S+)").group(1)
    arguments = ("demo", "--exit", "--iterations", 2, "--data-dir", home)
    demo = Command(*arguments, is_forked=False, GANVAS_DATA=str(no_mnist))
    assert demo.wait() == 0, demo.output
    assert f"already runs at {url}" in demo.output
    assert "Done: 2 iterations" in demo.output
    with Client(url) as client:
        assert [(job.state, "demo" in job.tags) for job in client.list()] == [("succeeded", True)]
    assert re.search(rf"{url}/runs/\w+", demo.output)
    assert service.end() == 0
