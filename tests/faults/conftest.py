"""What the faults share: processes that end with the test, an undisturbed run, and the table at the end."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api.client.client import Client
from api.events.schemas import EventsPost, NumberedEvent
from ganlib.events import Event
from tests.conftest import FAULT
from tests.support.faults.machines import Service, Starter, Wire, Worker
from tests.support.services import AT
from tests.support.training import DIGITS_SPEC, Record, train_undisturbed
from worker.attempt import reporter as reporter_module

IS_LONG = os.environ.get("GANVAS_FAULTS") == "long"
SEED = int(os.environ.get("GANVAS_FAULTS_SEED", "7"))

SPEC: dict[str, Any] = {
    **DIGITS_SPEC,
    "name": "under fire",
    "iterations": 3000,
    "sample_every": 100,
    "checkpoint_every": 100,
}

Say = Callable[[str, object, str, str], None]
StartService = Callable[..., Service]


def long_or_short(long: int, short: int) -> int:
    """Return how often a fault comes: the first in `make faults`, the second in `make test`."""
    return long if IS_LONG else short


def encode_post(events: Sequence[Event], first: int) -> bytes:
    """Write a post of events, numbered from `first`."""
    numbered = [NumberedEvent(seq=first + index, at=AT, event=event) for index, event in enumerate(events)]
    return EventsPost(events=numbered).model_dump_json().encode()


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    starter = Starter(tmp_path_factory.mktemp("services"))
    yield starter
    starter.close()


@pytest.fixture
def start_service(starter: Starter, tmp_path: Path) -> Iterator[StartService]:
    """Start a service with these settings; guards to switch off are named first. Another has another folder."""
    with ExitStack() as stack:

        def start(*tampering: str, folder: str = "home", **settings: object) -> Service:
            service = Service(starter, tmp_path / folder, **settings)
            stack.callback(service.kill)
            service.start(*tampering)
            return service

        yield start


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start a worker; without another folder it shares the service's, and so its broker of files."""
    with ExitStack() as stack:

        def start(url: str, home: Path = tmp_path / "home", **options: Any) -> Worker:
            worker = Worker(url, home, **options)
            stack.callback(worker.kill)
            return worker

        yield start


@pytest.fixture
def open_wire() -> Iterator[Callable[..., Wire]]:
    with ExitStack() as stack:

        def start(*ports: int) -> Wire:
            wire = Wire(*ports)
            stack.callback(wire.close)
            return wire

        yield start


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reporters of this process post at once, and try again at once."""
    monkeypatch.setattr(reporter_module, "FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(reporter_module, "LAST_BACKOFF_SECONDS", 0.05)
    monkeypatch.setattr(reporter_module, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(reporter_module, "BATCH_SECONDS", 0.0)


@pytest.fixture
def connect() -> Iterator[Callable[[str], Client]]:
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(Client(url))


@pytest.fixture(scope="session")
def find_undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], Record]:
    """Train a spec in this process, from beginning to end; one that came before is not trained again."""
    known: dict[str, Record] = {}

    def run(spec: dict[str, Any]) -> Record:
        key = json.dumps(spec, sort_keys=True)
        if key not in known:
            known[key] = train_undisturbed(spec, tmp_path_factory.mktemp("undisturbed"))
        return known[key]

    return run


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Say:
    """Say what was done how often, what had to hold, and what came; the table at the end shows it."""

    def note(scenario: str, times: object, criterion: str, result: str) -> None:
        record_property(FAULT, (scenario, str(times), criterion, result))

    return note
