"""Crashes and losses of power while several files are stored by one request."""

import hashlib
import os

import pytest

from api.artifacts.bundles import BundledFile
from api.client.client import WorkerClient
from api.client.transport import ServiceUnreachable
from tests.faults.conftest import long_or_short
from tests.faults.test_uploads import claim_token, rows_without_file
from tests.support.faults.machines import Service, get
from tests.support.faults.tampering import UPLOAD_STEPS

FILES = 20


def put_together(url: str, token: str, contents: list[bytes]) -> None:
    files = [
        BundledFile(hashlib.sha256(content).hexdigest(), "application/octet-stream", content)
        for content in contents
    ]
    with WorkerClient(url, token) as client:
        client.put_artifacts(files)


def read_all(url: str, contents: list[bytes]) -> list[tuple[int, bool]]:
    answers = [get(f"{url}/artifacts/{hashlib.sha256(content).hexdigest()}") for content in contents]
    return [
        (answer.status_code, answer.content == content) for answer, content in zip(answers, contents, strict=True)
    ]


def check_left(service: Service, step: str, contents: list[bytes]) -> None:
    """Fail unless all of the files are there, or none: their rows are written together."""
    expected = (200, True) if step == "committed" else (404, False)
    assert read_all(service.url, contents) == [expected] * FILES, step
    assert rows_without_file(service) == []


@pytest.mark.parametrize("fault", ["die", "power"])
def test_a_service_that_ends_at_any_step_of_a_bundle_names_no_damaged_file(start_service, say, fault) -> None:
    service: Service = start_service()
    token = claim_token(service.url)
    # From the last step on, as the short form takes what comes after the first fsync.
    steps = [
        UPLOAD_STEPS[-1 - turn % len(UPLOAD_STEPS)] for turn in range(long_or_short(len(UPLOAD_STEPS) * 10, 4))
    ]
    sent = [[os.urandom(20_000) for _ in range(FILES)] for _ in steps]
    service.kill()
    for turn, step in enumerate(steps):
        service.start(f"{fault}:{step}")
        # Each service that will die tells first what the one before it has left.
        if turn > 0:
            check_left(service, steps[turn - 1], sent[turn - 1])
        with pytest.raises(ServiceUnreachable):
            put_together(service.url, token, sent[turn])
        service.wait_for_end()
    service.start()
    check_left(service, steps[-1], sent[-1])
    for contents in sent:
        put_together(service.url, token, contents)
        assert read_all(service.url, contents) == [(200, True)] * FILES
    say(
        f"service {'killed' if fault == 'die' else 'without power'} at each step of {FILES} files in one request",
        f"{len(steps)} ({len(UPLOAD_STEPS)} steps)",
        "all of the files are absent or all are whole; sent again they are stored",
        f"as expected {len(steps)} of {len(steps)}",
    )


def test_control_without_fsync_a_loss_of_power_leaves_rows_without_their_files(start_service) -> None:
    service: Service = start_service()
    token = claim_token(service.url)
    service.kill()
    service.start("power:committed", "off:fsync")
    with pytest.raises(ServiceUnreachable):
        put_together(service.url, token, [os.urandom(20_000) for _ in range(FILES)])
    service.wait_for_end()
    assert len(rows_without_file(service)) == FILES
