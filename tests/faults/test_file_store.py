"""An S3 store that fails all the time while a worker posts: a file is absent or whole, no event precedes it."""

import hashlib

import pytest

from tests.faults.conftest import SEED, long_or_short
from tests.support.faults.faulty_store import BUCKET, CREDENTIALS, run_faulty_store
from tests.support.faults.machines import Service, wait_until
from tests.support.faults.posting import check_nothing_lost_or_doubled, posting

pytestmark = pytest.mark.usefixtures("short_waits")


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
