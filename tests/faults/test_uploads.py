"""Crashes, losses of power, full disks and a store that fails while files are stored."""

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from api.attempts.schemas import ClaimRequest
from api.client.client import Client, WorkerClient
from api.client.transport import ServiceUnreachable
from api.errors import StorageFull
from tests.faults.conftest import SEED, SPEC, long_or_short
from tests.support.faults.disks import small_disk
from tests.support.faults.faulty_store import BUCKET, CREDENTIALS, run_faulty_store
from tests.support.faults.machines import Service, get, wait_until
from tests.support.faults.posting import check_nothing_lost_or_doubled, posting
from tests.support.faults.tampering import UPLOAD_STEPS


def put(url: str, token: str, folder: Path, content: bytes) -> str:
    """Upload as a worker does; returns the sha256."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / "upload"
    path.write_bytes(content)
    with WorkerClient(url, token) as client:
        client.put_artifact(path, sha256, "application/octet-stream")
    return sha256


def claim_token(url: str) -> str:
    with Client(url) as client, WorkerClient(url) as worker:
        client.submit(SPEC)
        claim = worker.claim_job(ClaimRequest(worker="test"))
    assert claim is not None
    return claim.token


def upload_until_death(service: Service, token: str, folder: Path, content: bytes) -> None:
    """Upload to a service that dies on the way."""
    with pytest.raises(ServiceUnreachable):
        put(service.url, token, folder, content)
    service.wait_for_end()


def is_stored(url: str, content: bytes) -> bool:
    """Say whether a file is there; fail if it is there in another form than it was sent."""
    answer = get(f"{url}/artifacts/{hashlib.sha256(content).hexdigest()}")
    assert (answer.status_code, answer.content == content) in [(404, False), (200, True)]
    return answer.status_code == 200


@pytest.mark.parametrize("fault", ["die", "power"])
def test_a_service_that_ends_at_any_step_of_an_upload_names_no_damaged_file(
    start_service, tmp_path, say, fault
) -> None:
    steps = UPLOAD_STEPS * long_or_short(10, 1)
    service: Service = start_service()
    token = claim_token(service.url)
    service.kill()
    sent = [f"{fault} {turn} ".encode() + os.urandom(100_000) for turn in range(len(steps))]
    stored: list[bool] = []
    for turn, step in enumerate(steps):
        service.start(f"{fault}:{step}")
        # Each service that will die tells first what the one before it has left.
        if turn > 0:
            stored.append(is_stored(service.url, sent[turn - 1]))
        upload_until_death(service, token, tmp_path, sent[turn])
    service.start()
    stored.append(is_stored(service.url, sent[-1]))
    # Not there, or there as it was sent; what was answered as stored would be there.
    assert stored == [step == "committed" for step in steps]
    for content in sent:
        put(service.url, token, tmp_path, content)
        assert is_stored(service.url, content)
    say(
        "service killed at each step of an upload" if fault == "die" else "power lost at each step of an upload",
        f"{len(stored)} ({len(UPLOAD_STEPS)} steps)",
        "the file is absent or whole, never damaged; sent again it is stored"
        + ("" if fault == "die" else ". Control: fsync off"),
        f"absent {stored.count(False)}, whole {stored.count(True)}; stored at the second try {len(sent)}",
    )


def test_control_without_fsync_a_loss_of_power_leaves_a_row_without_its_file(start_service, tmp_path) -> None:
    service: Service = start_service()
    token = claim_token(service.url)
    content = os.urandom(100_000)
    service.kill()
    # In this order the watch is told of no fsync.
    service.start("power:committed", "off:fsync")
    with pytest.raises(ServiceUnreachable):
        put(service.url, token, tmp_path, content)
    service.wait_for_end()
    assert rows_without_file(service) == [hashlib.sha256(content).hexdigest()]


def rows_without_file(service: Service) -> list[str]:
    with sqlite3.connect(service.home / "ganvas.sqlite3") as database:
        names = [name for (name,) in database.execute("SELECT sha256 FROM artifacts")]
    database.close()
    return [name for name in names if not (service.home / "blobs" / name[:2] / name).exists()]


def test_a_full_disk_of_the_service_refuses_files_and_serves_on(start_service, tmp_path, say) -> None:
    with small_disk(tmp_path / "home" / "blobs", 512):
        service: Service = start_service()
        token = claim_token(service.url)
        kept = os.urandom(300_000)
        put(service.url, token, tmp_path, kept)
        times = long_or_short(100, 10)
        for _ in range(times):
            with pytest.raises(StorageFull):
                put(service.url, token, tmp_path, os.urandom(300_000))
            read = get(f"{service.url}/artifacts/{hashlib.sha256(kept).hexdigest()}")
            assert (read.status_code, read.content == kept) == (200, True)
        # What was refused has left no piece behind: a file that fits is still taken.
        put(service.url, token, tmp_path, os.urandom(150_000))
        service.kill()
    say(
        "disk full under the service's files",
        times,
        "507, no piece left behind, reads go on; what fits is stored",
        f"{times} of {times} uploads got 507; then 150 kB were stored",
    )


@pytest.mark.usefixtures("short_waits")
def test_a_file_store_that_fails_all_the_time_loses_and_damages_nothing(
    start_service, connect, tmp_path, say
) -> None:
    wanted = long_or_short(1000, 30)
    with run_faulty_store(SEED) as store:
        settings = {"blobs_url": f"s3://{BUCKET}/lab", "s3_endpoint_url": store.url, **CREDENTIALS}
        service: Service = start_service(lease_seconds=60, **settings)
        with posting(service.url, tmp_path / "attempts") as posted:
            store.share = 0.7
            wait_until(lambda: sum(store.happened.values()) >= wanted)
            check_files(store, connect(service.url), posted.job_id)
            store.share = 0.0
        check_nothing_lost_or_doubled(connect(service.url), posted)
        objects = check_files(store, connect(service.url), posted.job_id)
        service.kill()
    assert posted.grids
    say(
        "S3 store that cuts, loses answers, delays, answers 500 and 503 SlowDown, while a worker posts",
        sum(store.happened.values()),
        "an object is absent or whole; no event is recorded before its file; all is there in the end",
        f"{posted.written:,} points, {len(posted.grids)} grids, {objects} whole objects (seed {SEED})",
    )


def check_files(store, client, job_id: str) -> int:
    """Fail unless each object has the bytes of its name and each recorded grid an object; returns how many."""
    # Asked in this order: what is recorded now was stored before.
    recorded = {sample.sha256 for sample in client.samples(job_id)}
    objects = store.read_all()
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in objects.items())
    assert recorded <= objects.keys()
    return len(objects)
