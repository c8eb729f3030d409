"""What a run waits for and how far it came, as its page says it."""

import re
from datetime import timedelta

from fastapi.testclient import TestClient

from api.server.database.models import Job
from tests.dashboard.web.test_pages import read, words
from tests.support.fake_worker import FakeWorker

NO_WORKER = "No worker has claimed this run yet. ganvas up starts a worker on this machine."


def show(client: TestClient, job: str) -> str:
    """Return what stands above the attempts, which have a sentence of their own."""
    return words(read(client, f"/runs/{job}").split('id="attempts"')[0])


def test_run_that_nobody_claimed_says_how_to_start_a_worker(client: TestClient, worker: FakeWorker) -> None:
    shown = show(client, worker.submit())
    assert NO_WORKER in shown
    # Neither a verdict nor what it has learnt says it a second time.
    assert "Learning – It is measured once it trains." in shown
    assert "Not examined" not in shown
    assert shown.count("No worker has") == 1
    assert "The first sample grid appears here" in shown


def test_run_behind_others_says_how_many(client: TestClient, worker: FakeWorker) -> None:
    worker.submit(name="first")
    worker.claim()
    jobs = [worker.submit(name=f"later-{number}") for number in range(3)]
    assert "Waiting: 1 run is under way; this one is next." in show(client, jobs[0])
    shown = show(client, jobs[2])
    assert "Waiting: 1 run is under way, 2 are queued before this one." in shown
    assert shown.count("queued before this one") == 1
    assert "ganvas up" not in shown
    client.post(f"/runs/{jobs[0]}/cancel")
    assert "1 is queued before this one." in show(client, jobs[2])


def test_run_that_was_broken_off_says_why_and_from_where_it_goes_on(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    worker.log_metrics(300)
    worker.save_checkpoint(200)
    worker.finish("failed", "trainer_killed", "The trainer was ended by signal 9.")
    shown = show(client, job)
    assert (
        "Attempt 1 was interrupted: its trainer was killed (The trainer was ended by signal 9). "
        "The run continues from iteration 200 as soon as a worker is free."
    ) in shown
    assert "No worker has" not in shown


def test_run_without_a_checkpoint_starts_again(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    worker.finish("preempted")
    shown = show(client, job)
    assert "its worker was stopped. The run starts again at iteration 0 as soon as a worker is free." in shown


def test_run_for_cuda_says_that_it_waits_for_such_a_worker(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit(device="cuda")
    shown = show(client, job)
    assert "It waits for a worker with a CUDA GPU, as its spec asks (device: cuda)." in shown
    assert "ganvas up" not in shown
    # What is bound to a GPU holds up nobody who takes any device.
    worker.submit(name="running")
    worker.claim()
    assert "this one is next." in show(client, worker.submit(name="any-device"))
    assert show(client, job).count("CUDA GPU") == 1


def test_pinned_run_says_that_no_worker_runs_its_commit(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit(queue={"commit": "0123456"})
    worker.submit(name="other")
    worker.claim()
    shown = show(client, job)
    assert "No worker takes this run: pinned to commit 0123456; no known worker runs it." in shown
    assert shown.lower().count("pinned to commit") == 1
    assert "this one is next" not in shown


def test_pinned_runs_hold_up_nobody_else(client: TestClient, worker: FakeWorker) -> None:
    worker.submit(name="running")
    worker.claim()
    worker.submit(queue={"commit": "0123456"})
    worker.submit(queue={"gpus": 2})
    assert "this one is next" in show(client, worker.submit(name="plain"))


def test_the_axis_of_a_run_ends_as_planned_while_it_runs_and_then_where_it_ended(
    client: TestClient, worker: FakeWorker
) -> None:
    def read_axis(job: str) -> tuple[set[str], str]:
        html = read(client, f"/runs/{job}")
        last = re.search(r'<p class="axis"><span>0</span> <span>iteration</span> <span>([^<]*)<', html)
        assert last is not None
        return set(re.findall(r'data-length="(\d+)"', html)), last[1]

    job = worker.submit(iterations=9000)
    worker.claim()
    worker.train(300)
    assert read_axis(job) == ({"9000"}, "9,000")
    worker.save_checkpoint(300)
    worker.finish("preempted")
    assert read_axis(job) == ({"9000"}, "9,000")
    worker.claim()
    worker.log_metrics(310)
    worker.finish("failed", "out_of_memory", "Too large.")
    assert read_axis(job) == ({"310"}, "310")


def test_time_taken_and_speed_of_a_run_that_is_over_make_its_iterations(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    worker.train(500)
    assert "4.63 iterations/s" in words(read(client, f"/runs/{job}")).split("Learning")[0]
    worker.finish("succeeded")
    services = client.app.state.services  # type: ignore[attr-defined]
    with services.database.write() as session:
        row = session.get(Job, job)
        row.started_at = row.ended_at - timedelta(seconds=250)
    shown = words(read(client, f"/runs/{job}")).split("Learning")[0]
    assert "Time taken 4 min 10 s 2.00 iterations/s overall" in shown
    assert "4.63" not in shown


def test_many_checkpoints_are_counted_and_the_older_ones_folded(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    worker.claim()
    for iteration in range(1, 13):
        worker.save_checkpoint(iteration)
    section = read(client, f"/runs/{job}").split('<section id="checkpoints">')[1].split("</section>")[0]
    assert "12, newest first" in words(section)
    seen, folded = section.split('<details id="older-checkpoints"')
    iterations = r'data-label="Iteration" class="number">(\d+)<'
    assert re.findall(iterations, seen) == [str(each) for each in range(12, 2, -1)]
    assert "<summary>2 older</summary>" in folded
    assert re.findall(iterations, folded) == ["2", "1"]


def test_a_run_that_is_over_promises_nothing_more(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit()
    promises = ("yet", "Known when a worker claims", "<live-stream")
    before = read(client, f"/runs/{job}")
    assert all(promise in before for promise in promises)
    client.post(f"/jobs/{job}/cancel")
    after = read(client, f"/runs/{job}")
    assert [promise for promise in promises if promise in after.replace("not yet drawn", "")] == []
    for said in ("No worker claimed this run.", "None was saved.", "It ended before any value was logged."):
        assert said in words(after), said
