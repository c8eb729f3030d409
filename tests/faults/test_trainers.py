"""Trainers and workers that are killed, stopped, cut off: one result, as if nothing had happened."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from api.client.client import Client
from api.jobs.schemas import JobRead
from ganlib.runtime.compile_cache import TORCH_VARIABLE, compile_cache
from tests.faults.conftest import IS_LONG, SEED, SPEC, Say, long_or_short
from tests.support.faults.machines import wait_until
from tests.support.faults.trainers import (
    paused_trainer,
    read_recorded,
    wait_for_stop_request,
    wait_until_gone,
)
from tests.support.processes import Command, find_trainers
from tests.support.training import DIGITS_SPEC, read_record

# How long the jobs of the short form are: one undisturbed run stands beside all of them.
UNDISTURBED = 1600
# No life of a trainer is longer before it is killed.
MOST_ITERATIONS_A_LIFE = 300


def ends(job: JobRead) -> list[str | None]:
    return [attempt.end for attempt in job.attempts]


def find_next_trainer(client: Client, job_id: str, home: Path) -> int:
    """Wait for the job's trainer; a job that is over will have none."""

    def look() -> list[int]:
        trainers = find_trainers(home)
        assert trainers or not client.get(job_id).ended_at, (
            "the job was over before the last kill: it is too short"
        )
        return trainers

    [trainer] = wait_until(look)
    return trainer


def test_a_trainer_that_is_killed_again_and_again_leaves_one_result(
    start_service, start_worker, connect, find_undisturbed, say
) -> None:
    """Each death comes at a random moment after the trainer is there: in its start, in a step, in a write."""
    times, random_state = long_or_short(50, 2), random.Random(SEED)
    service = start_service("quick", attempts_allowed=100)
    # Counted in iterations, so that the job outlasts them all on any machine.
    spec = {**SPEC, "iterations": 1000 + MOST_ITERATIONS_A_LIFE * times}
    client = connect(service.url)
    job_id = client.submit(spec).id
    start_worker(service.url)
    for _ in range(times):
        trainer = find_next_trainer(client, job_id, service.home)
        reached = client.get(job_id).iteration
        if random_state.random() < 0.8:
            until = reached + random_state.randrange(MOST_ITERATIONS_A_LIFE // 2)
            wait_until(lambda until=until, trainer=trainer: read_recorded(trainer) > until, 0.002)
        else:
            time.sleep(random_state.uniform(0, 0.3))
        os.kill(trainer, signal.SIGKILL)
        wait_until_gone(trainer)
    job = client.wait(job_id, timeout=1800)
    assert (job.state, ends(job)) == ("succeeded", ["failed"] * times + ["succeeded"])
    assert read_record(client, job) == find_undisturbed(spec)
    grids = len(client.samples(job_id))
    say(
        "trainer killed (SIGKILL)",
        times,
        "one result; every point and grid as in an undisturbed run, none missing, none twice",
        f"{job.attempt} attempts, {spec['iterations']:,} iterations, {grids} grids equal; the next one claimed "
        f"within {longest_wait(job):.1f} s (seed {SEED})",
    )


def longest_wait(job: JobRead) -> float:
    """Return the most seconds that the job waited between two attempts."""
    pairs = itertools.pairwise(job.attempts)
    return max((after.claimed_at - before.ended_at).total_seconds() for before, after in pairs if before.ended_at)


def test_a_worker_that_is_killed_takes_its_trainer_along_and_its_job_goes_on(
    start_service, start_worker, connect, find_undisturbed, say
) -> None:
    times, slowest = long_or_short(10, 1), 0.0
    service = start_service("quick", lease_seconds=3, attempts_allowed=100)
    client = connect(service.url)
    spec = {**SPEC, "iterations": max(UNDISTURBED, 400 + 200 * times)}
    job_id = client.submit(spec).id
    worker = start_worker(service.url)
    for _ in range(times):
        with paused_trainer(service.home, after=client.get(job_id).iteration + 100) as trainer:
            killed_at = time.monotonic()
            worker.kill()
            wait_until_gone(trainer)
        slowest = max(slowest, time.monotonic() - killed_at)
        worker = start_worker(service.url)
    assert slowest < 5
    job = client.wait(job_id, timeout=600)
    assert (job.state, len(job.attempts)) == ("succeeded", times + 1)
    assert read_record(client, job) == find_undisturbed(spec)
    say(
        "worker killed (SIGKILL)",
        times,
        "its trainer is dead within 5 s; the job is claimed again and ends as in an undisturbed run",
        f"slowest trainer dead after {slowest:.2f} s; {job.attempt} attempts, record equal",
    )


def test_sigterm_leaves_a_checkpoint_and_costs_no_attempt(
    start_service, start_worker, connect, find_undisturbed, say
) -> None:
    """To the worker alone, then to its group; that one's trainer, in a group of its own, is sent it as well."""
    times = long_or_short(5, 1)
    service = start_service(attempts_allowed=1)
    client = connect(service.url)
    spec = {**SPEC, "iterations": max(UNDISTURBED, 400 + 200 * times)}
    job_id = client.submit(spec).id
    for to_group in (False, True) * times:
        worker = start_worker(service.url)
        with paused_trainer(service.home, after=client.get(job_id).iteration) as trainer:
            worker.send(signal.SIGTERM, to_group=to_group)
            wait_for_stop_request(trainer)
            if to_group:
                os.kill(trainer, signal.SIGTERM)
        assert worker.wait() == 0
        assert not find_trainers(service.home)
        assert client.get(job_id).state == "queued"
    start_worker(service.url)
    job = client.wait(job_id, timeout=600)
    assert (job.state, ends(job)) == ("succeeded", ["preempted"] * 2 * times + ["succeeded"])
    assert read_record(client, job) == find_undisturbed(spec)
    say(
        "SIGTERM to the worker alone; to its group and its trainer",
        f"{times} each",
        "queued again at once, from a checkpoint of that moment; a budget of one attempt is enough",
        f"went on from iterations {', '.join(str(attempt.resumed_from) for attempt in job.attempts[1:])}",
    )


def test_a_worker_that_is_cut_off_past_its_lease_is_not_heard_again(
    start_service, start_worker, open_wire, connect, find_undisturbed, tmp_path: Path, say
) -> None:
    times = long_or_short(5, 1)
    service = start_service("quick", lease_seconds=2, attempts_allowed=100)
    client, wire = connect(service.url), open_wire(service.port)
    spec = {**SPEC, "iterations": UNDISTURBED}
    undisturbed = find_undisturbed(spec)
    start_worker(wire.url, tmp_path / "far", name="far")
    for _ in range(times):
        job_id = client.submit(spec).id
        with paused_trainer(tmp_path / "far") as trainer:
            wire.cut()
            near = start_worker(service.url, tmp_path / "near", name="near")
            wait_until(lambda job_id=job_id: client.get(job_id).attempt == 2)
            wire.mend()
            wait_until_gone(trainer)
        job = client.wait(job_id, timeout=600)
        assert (job.state, ends(job)) == ("succeeded", ["lost", "succeeded"])
        assert [attempt.worker for attempt in job.attempts] == ["far", "near"]
        assert read_record(client, job) == undisturbed
        near.kill()
    say(
        "worker cut off past its lease",
        times,
        "another worker goes on; the first one's trainer stops after the cut; record as undisturbed",
        "record equal each time",
    )


def test_a_damaged_checkpoint_is_refused_and_the_one_before_taken(
    start_service, start_worker, connect, find_undisturbed, say
) -> None:
    times = long_or_short(5, 1)
    service = start_service("quick", lease_seconds=3, attempts_allowed=100)
    client = connect(service.url)
    spec = {**SPEC, "iterations": max(UNDISTURBED, 600 + 300 * times)}
    job_id = client.submit(spec).id
    for _ in range(times):
        worker = start_worker(service.url)
        reached = client.get(job_id).iteration + 250
        with paused_trainer(service.home, after=reached):
            wait_until(lambda reached=reached: client.get(job_id).iteration > reached)
            worker.kill()
        wait_until(lambda: client.get(job_id).state == "queued")
        flip_a_byte(service.home, client.checkpoints(job_id)[-1].sha256)
    start_worker(service.url)
    job = client.wait(job_id, timeout=600)
    reasons = [attempt.reason.code for attempt in job.attempts if attempt.reason]
    assert (job.state, reasons) == ("succeeded", ["attempt_lost", "checkpoint_unreadable"] * times)
    refused, taken = job.attempts[-2].resumed_from, job.attempts[-1].resumed_from
    assert refused - SPEC["checkpoint_every"] == taken
    assert read_record(client, job) == find_undisturbed(spec)
    say(
        "a byte of the newest checkpoint flipped",
        times,
        "refused by its sha256; the job goes on from the checkpoint before; record as undisturbed",
        f"refused at iteration {refused:,}, went on from {taken:,}; record equal",
    )


def flip_a_byte(home: Path, sha256: str) -> None:
    path = home / "blobs" / sha256[:2] / sha256
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


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


@pytest.fixture
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
