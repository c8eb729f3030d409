"""The steps of `ganvas demo`."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any

import click

from api.client.client import Client
from api.errors import ServiceError
from api.jobs.schemas import JobRead, JobSummary
from api.server.files import make_private
from api.server.settings import Settings
from ganlib.spec.files import read_spec_text
from ganvas.address import forget_service_url, read_service_url
from ganvas.progress import follow_job
from ganvas.startup.local import open_log

DEMO_TAG = "demo"
RECIPE = "first-light.yaml"
START_SECONDS = 60.0
STOP_SECONDS = 90.0


def run_demo(*, iterations: int | None, exit_at_end: bool, port: int | None, home: Path | None) -> str:
    """Run the demo to its end; returns the job's state, or "interrupted" after Ctrl-C before that."""
    given: dict[str, Any] = {"home": home} if home else {}
    settings = Settings(**given)
    state = "interrupted"
    interrupts = Interrupts()
    with interrupts, running_service(settings, port, interrupts) as service, Client(service.url) as client:
        try:
            job = find_unfinished(client, iterations) or client.submit(demo_spec(iterations))
            click.echo(f"\n  Watch it learn:  {client.page_url(job.id)}\n")
            ended = follow_job(client, job.id)
            state = ended.state
            _print_end(ended, client.page_url(job.id))
            if service.is_ours and not exit_at_end:
                click.echo("The dashboard stays up; Ctrl-C stops it.")
                signal.pause()
        except KeyboardInterrupt:
            if state == "interrupted":
                _print_interruption(service)
    return state


def find_unfinished(client: Client, iterations: int | None) -> JobSummary | None:
    """Return the demo's unfinished job, so that a second start continues it."""
    for state in ("running", "queued"):
        for job in client.list(state=state, tag=DEMO_TAG):
            if iterations is None or job.iterations == iterations:
                click.echo(f"Continuing {job.id} at iteration {job.iteration:,} of {job.iterations:,}.")
                return job
    return None


def demo_spec(iterations: int | None) -> dict[str, Any]:
    """Return the recipe, on MNIST if it is available, else on the digits that ship with scikit-learn."""
    from ganlib.datasets import find_problem

    spec = read_spec_text(files("recipes").joinpath(RECIPE).read_text(encoding="utf-8"), RECIPE)
    spec["tags"] = [*spec.get("tags", []), DEMO_TAG]
    if iterations is not None:
        spec["iterations"] = iterations
    problem = find_problem("mnist")
    if problem is not None:
        click.echo(f"{problem} Training on scikit-learn's 1,797 digits instead.")
        spec["dataset"] = {"name": "digits", "size": 28}
    return spec


@dataclass(frozen=True)
class RunningService:
    """A service that answers at `url`; `is_ours` if this command started it and will stop it."""

    url: str
    is_ours: bool


class Interrupts:
    """Handles Ctrl-C while a block runs: the first one raises KeyboardInterrupt, later ones go to the service.

    So nothing breaks off the stop of the service, and whoever is in a hurry hurries the service too.
    """

    def __init__(self) -> None:
        self.service: subprocess.Popen[bytes] | None = None
        self.is_stopping = False

    def __enter__(self) -> None:
        self._previous = signal.signal(signal.SIGINT, self._handle)

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.is_stopping:
            self.is_stopping = True
            raise KeyboardInterrupt
        if self.service is not None and self.service.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.service.pid, signal.SIGINT)


@contextlib.contextmanager
def running_service(settings: Settings, port: int | None, interrupts: Interrupts) -> Iterator[RunningService]:
    """Yield the service of this folder: one that already runs, or one started for this block."""
    running = _answering_url(settings.home)
    if running is not None:
        click.echo(f"Using the service that already runs at {running}.")
        yield RunningService(running, is_ours=False)
        return
    process = _start_service(settings.home, port if port is not None else _choose_port(settings.port))
    interrupts.service = process
    try:
        yield RunningService(_wait_until_ready(process, settings.home), is_ours=True)
    finally:
        interrupts.is_stopping = True
        _stop_service(process)


def _answering_url(home: Path) -> str | None:
    url = read_service_url(home)
    if url is None:
        return None
    try:
        with Client(url) as client:
            client.health()
    except ServiceError:
        return None
    return url


def _choose_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            click.echo(f"Port {wanted} is taken by another program; choosing a free one.")
            return 0
    return wanted


def _start_service(home: Path, port: int) -> subprocess.Popen[bytes]:
    # In a session of its own: Ctrl-C reaches this process, which then stops the service in order.
    make_private(home)
    forget_service_url(home)
    with open_log(home, "service") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ganvas", "up", "--port", str(port), "--data-dir", str(home)],
            env={**os.environ, "GANVAS_END_WITH_PARENT": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(process: subprocess.Popen[bytes], home: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        url = _answering_url(home)
        if url is not None:
            return url
        if process.poll() is not None:
            break
        time.sleep(0.05)
    log = (home / "logs" / "service.log").read_text(encoding="utf-8", errors="replace")
    raise click.ClickException("The service did not start; the end of its log:\n" + log[-2000:])


def _stop_service(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _print_end(job: JobRead, page_url: str) -> None:
    if job.state == "succeeded":
        click.echo(f"Done: {job.iterations:,} iterations. The timeline: {page_url}")
    else:
        why = f": {job.reason.message}" if job.reason else "."
        click.echo(f"The job {'failed' if job.state == 'failed' else f'was {job.state}'}{why}", err=True)


def _print_interruption(service: RunningService) -> None:
    if service.is_ours:
        click.echo("\nStopping: the trainer writes a checkpoint … run the same command again to continue.")
    else:
        click.echo("\nThe job continues in the service that was already running; its page shows it.")
