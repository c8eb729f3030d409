"""Loops that are processes of their own, with the sender beside them: ends of all kinds, and who writes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.jobs.schemas import JobRead
from ganvas import Client
from ganvas.tracking.folder import RunFolder
from tests.conftest import LiveService
from tests.ganvas.conftest import RunCommand

ROOT = Path(__file__).parents[3]
SECONDS = 30.0

BEGIN = """
import os, signal, sys, time
import ganvas
folder = os.environ.get("RUN_DIR")
run = ganvas.init("my gan", config={"lr": 0.1}, dir=folder, resume=folder is not None)
for step in range(3):
    run.log({"g_loss": float(step)}, step=step)
"""


class Loops:
    """Starts loops whose runs are kept below one home."""

    def __init__(self, home: Path, url: str) -> None:
        self.home, self._url = home, url
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, script: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", BEGIN + script],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "GANVAS_HOME": str(self.home),
                "GANVAS_URL": self._url,
                "GANVAS_LINGER_SECONDS": "20",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home.parent,
        )
        self.processes.append(process)
        return process

    def run(self, script: str, **environment: str) -> tuple[int, str]:
        process = self.start(script, **environment)
        _, told = process.communicate(timeout=SECONDS)
        return process.returncode, told

    def folders(self) -> list[RunFolder]:
        return [RunFolder(path) for path in sorted((self.home / "runs").glob("*"))]


@pytest.fixture
def client(live_service: LiveService) -> Iterator[Client]:
    with Client(live_service.url) as client:
        yield client


@pytest.fixture
def loops(tmp_path: Path, live_service: LiveService) -> Iterator[Loops]:
    loops = Loops(tmp_path / "loops", live_service.url)
    yield loops
    for process in loops.processes:
        if process.poll() is None:
            process.kill()
        process.communicate()
    # A sender that is left would go on after the test.
    wait_for(lambda: not any(is_held(folder) for folder in loops.folders()))


def is_held(folder: RunFolder) -> bool:
    from ganvas.tracking.sender.delivery import hold_delivery

    with hold_delivery(folder) as has:
        return not has


def wait_for(condition: Callable[[], Any]) -> Any:
    until = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.05)
    return found


def wait_for_end(client: Client) -> JobRead:
    def find() -> JobRead | None:
        ended = [job for job in client.list() if job.state not in ("queued", "running")]
        return client.get(ended[0].id) if ended else None

    job: JobRead = wait_for(find)
    return job


def points(client: Client, job: JobRead) -> list[float]:
    return [float(value) for value in client.curves(job.id, "g_loss")["g_loss"].values]


def test_a_loop_that_ends_is_delivered_whole_and_its_folder_goes(loops: Loops, client: Client) -> None:
    status, told = loops.run("print(ganvas.init.__name__)")
    job = wait_for_end(client)
    assert (status, job.state, job.origin, points(client, job)) == (0, "succeeded", "own", [0.0, 1.0, 2.0])
    assert told == f"ganvas: my gan: {client.url}/runs/{job.id}\n"
    wait_for(lambda: not loops.folders())
    provenance = job.attempts[-1].provenance
    assert provenance.command.startswith(f"{sys.executable} -c")
    assert (provenance.versions["ganvas"], bool(provenance.hostname)) == (provenance.versions["ganvas"], True)


def test_kill_9_loses_nothing_and_the_run_is_failed(loops: Loops, client: Client) -> None:
    process = loops.start("print('ready', flush=True); time.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    job = wait_for_end(client)
    assert (job.state, points(client, job)) == ("failed", [0.0, 1.0, 2.0])
    assert job.reason is not None
    assert job.reason.message.startswith("The process ended without closing the run: it was killed (SIGKILL")
    wait_for(lambda: not loops.folders())


@pytest.mark.parametrize(
    ("script", "status", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM, "ended by SIGTERM."),
        ("raise RuntimeError('no such luck')", 1, "RuntimeError: no such luck"),
        ("sys.excepthook = lambda *_: None\nraise KeyError('quiet')", 1, "KeyError: 'quiet'"),
    ],
)
def test_a_loop_that_a_signal_or_an_exception_ends_is_failed_with_that(
    loops: Loops, client: Client, script: str, status: int, message: str
) -> None:
    assert loops.run(script)[0] == status
    job = wait_for_end(client)
    assert job.reason is not None
    assert (job.state, job.reason.message.endswith(message)) == ("failed", True)
    assert points(client, job) == [0.0, 1.0, 2.0]


def test_an_offline_run_is_one_small_folder_that_is_sent_later(
    loops: Loops, client: Client, ganvas: RunCommand
) -> None:
    status, told = loops.run("run.close()", GANVAS_MODE="offline")
    (folder,) = loops.folders()
    assert (status, f"`ganvas sync {folder.path}` sends it." in told) == (0, True)
    assert len(list(folder.path.iterdir())) <= 10
    assert list(client.list()) == []
    for word in ("events and 0 files sent", "nothing new"):
        assert word in ganvas("sync", folder.path, "--url", client.url).out
    job = wait_for_end(client)
    assert (job.state, points(client, job)) == ("succeeded", [0.0, 1.0, 2.0])


def test_a_cancel_reaches_the_loop(loops: Loops, client: Client) -> None:
    process = loops.start("while not run.should_stop(): time.sleep(0.05)\nrun.close('cancelled', 'as asked')")
    job = wait_for(lambda: list(client.list()))[0]
    client.cancel(job.id)
    ended = wait_for_end(client)
    assert (process.wait(SECONDS), ended.state) == (0, "cancelled")


def test_under_torchrun_one_process_writes(loops: Loops, client: Client) -> None:
    for rank in ("1", "0"):
        status, _ = loops.run("run.close()", RANK=rank, WORLD_SIZE="2")
        assert status == 0
    wait_for_end(client)
    assert len(list(client.list())) == 1


def test_a_second_process_on_one_folder_is_refused_and_later_goes_on(
    loops: Loops, client: Client, tmp_path: Path
) -> None:
    place = {"RUN_DIR": str(tmp_path / "kept")}
    first = loops.start("print('ready', flush=True); time.sleep(60)", **place)
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    status, told = loops.run("", **place)
    assert (status, "is being written by process" in told) == (1, True)
    first.kill()
    first.communicate()
    status, told = loops.run("run.log({'g_loss': 3.0})", **place)
    wait_for(lambda: client.get(next(iter(client.list())).id).state == "succeeded")
    (job,) = client.list()
    assert (status, points(client, client.get(job.id))) == (0, [0.0, 1.0, 2.0, 3.0])
    assert RunFolder(tmp_path / "kept").read_end() is not None


def test_a_service_that_comes_late_gets_everything(
    loops: Loops, client: Client, live_service: LiveService, ganvas: RunCommand
) -> None:
    status, told = loops.run("time.sleep(1.5)", GANVAS_URL="http://127.0.0.1:9", GANVAS_LINGER_SECONDS="0")
    assert status == 0
    assert told.count("offline: No Ganvas service answers at http://127.0.0.1:9") == 1
    (folder,) = loops.folders()
    wait_for(lambda: not is_held(folder))
    assert "succeeded" in ganvas("sync", folder.path, "--url", live_service.url).out
    assert points(client, wait_for_end(client)) == [0.0, 1.0, 2.0]


def test_a_loop_whose_folder_has_modules_of_our_names_is_delivered(
    loops: Loops, client: Client, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    for name in ("api", "worker", "dashboard"):
        (mine / name).mkdir(parents=True)
        (mine / name / "__init__.py").write_text("raise ImportError('not yours')")
    loops.run(
        "open('big.pt', 'wb').write(os.urandom(3_000_000)); run.checkpoint('big.pt', step=2)",
        PYTHONPATH=f"{ROOT}{os.pathsep}{mine}",
    )
    job = wait_for_end(client)
    assert (job.state, points(client, job)) == ("succeeded", [0.0, 1.0, 2.0])
    # A file that is sent in a request of its own.
    (file,) = httpx.get(f"{client.url}/jobs/{job.id}/files").json()["items"]
    assert (file["name"], file["size"]) == ("checkpoints/000002.pt", 3_000_000)


def test_a_disk_that_is_full_at_the_end_makes_no_failure_of_it(loops: Loops, client: Client) -> None:
    script = """
from ganvas.tracking import folder
def find_no_room(path, text):
    raise OSError(28, "No space left on device")
folder._replace = find_no_room
run.close()
"""
    _, told = loops.run(script)
    assert "the end of the run could not be written: No space left on device" in told
    job = wait_for_end(client)
    assert (job.state, points(client, job)) == ("succeeded", [0.0, 1.0, 2.0])


def test_a_loop_that_is_killed_at_once_is_known(loops: Loops, client: Client) -> None:
    loops.run("os.kill(os.getpid(), signal.SIGKILL)")
    assert points(client, wait_for_end(client)) == [0.0, 1.0, 2.0]


def test_a_forked_child_neither_writes_nor_ends_the_run(loops: Loops, client: Client) -> None:
    script = """
child = os.fork()
if child == 0:
    run.log({"g_loss": 99.0}, step=9)
    sys.exit(1)
os.waitpid(child, 0)
run.log({"g_loss": 3.0})
os.kill(os.getpid(), signal.SIGKILL)
"""
    loops.run(script)
    job = wait_for_end(client)
    assert (job.state, points(client, job)) == ("failed", [0.0, 1.0, 2.0, 3.0])


def test_the_plain_install_is_enough_and_import_is_light() -> None:
    """Nothing but the packages of a plain install is loaded, in the loop or in the sender."""
    script = """
import sys
import ganvas
assert set(dir(ganvas)) >= {"init", "Run", "Client"}
assert not {"pydantic", "httpx", "ganvas.tracking"} & set(sys.modules)
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("msgspec", "filelock", "numpy", "torch", "PIL", "fastapi", "sqlalchemy"):
            raise ImportError(name)
sys.meta_path.insert(0, Refused())
ganvas.init
assert not {"httpx", "api", "worker"} & set(sys.modules)
import ganvas.tracking.sender.__main__
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_a_sender_that_waits_lets_sync_deliver_and_finds_a_service_with_another_address(
    loops: Loops, client: Client, live_service: LiveService, ganvas: RunCommand
) -> None:
    """After its loop's end, without a service; sync's delivery is noticed, and nothing is opened again."""
    status, told = loops.run("time.sleep(1.0)", GANVAS_URL="http://127.0.0.1:9")
    assert (status, told.count("offline: ")) == (0, 1)
    (folder,) = loops.folders()
    wait_for(lambda: "succeeded" in ganvas("sync", folder.path, "--url", live_service.url).out)
    assert points(client, wait_for_end(client)) == [0.0, 1.0, 2.0]


def test_the_address_of_the_page_is_known_right_after_init(loops: Loops, client: Client) -> None:
    process = loops.start("print(run.url, flush=True)")
    said, _ = process.communicate(timeout=SECONDS)
    assert said == f"{client.url}/runs/{wait_for_end(client).id}\n"
    assert loops.start("print(run.url)", GANVAS_MODE="offline").communicate(timeout=SECONDS)[0] == "None\n"
