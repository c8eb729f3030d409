"""What a worker hears of its broker: whatever that does, it listens again; garbage is dropped and counted."""

import itertools
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from api.client.client import Client
from api.server.broker import celery
from api.server.broker.celery import QUEUE, WORK_TASK, build_broker
from tests.support.faults.machines import Wire
from tests.support.faults.redis_server import RedisServer, run_redis
from worker.loop import polling, wake_listener
from worker.loop.polling import PollingWorker
from worker.loop.wake_listener import WakeListener
from worker.settings import WorkerSettings

PATIENCE_SECONDS = 60.0
GARBAGE = (
    b"", b"not JSON", b"\xff\xfe\x00", b"null", b"1", b"[1]", b"{}", b'{"properties": 2}', b"[" * 100_000,
    b'{"body": "e30=", "headers": null, "properties": {"delivery_tag": "1", "delivery_info": {}}}',
)  # fmt: skip
# More than one connection takes before it is opened anew.
FLOOD = GARBAGE * (1 + wake_listener.MOST_UNREADABLE // len(GARBAGE))


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    short_waits = {"TICK": 0.05, "FIRST_BACKOFF": 0.01, "LAST_BACKOFF": 0.05, "UNREADABLE_PAUSE": 0.0}
    for name, seconds in short_waits.items():
        monkeypatch.setattr(wake_listener, f"{name}_SECONDS", seconds)
    short = {"socket_connect_timeout": 0.3, "socket_timeout": 0.3, "health_check_interval": 0.1}
    monkeypatch.setattr(celery, "_REDIS_OPTIONS", {**celery._REDIS_OPTIONS, **short})


class Ears:
    """A listener, and what it heard."""

    def __init__(self, broker_url: str | None, home: Path) -> None:
        self.woken = threading.Event()
        self.listener = WakeListener(broker_url, home, self.woken.set)
        self.broker = (broker_url, home)
        self.listener.is_idle.set()
        self.listener.start()

    def send_wake(self) -> None:
        """Send a message as the service does."""
        app = build_broker(*self.broker)
        app.send_task(WORK_TASK, ignore_result=True)
        app.close()

    def hears(self) -> bool:
        """Send messages until one is heard: what was sent while the broker was away may be lost."""
        for _ in range(int(PATIENCE_SECONDS / 0.2)):
            with suppress(Exception):
                self.send_wake()
            if self.woken.wait(0.2):
                self.woken.clear()
                self.listener.is_idle.set()
                return True
        return False


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[..., Ears]]:
    with ExitStack() as stack:

        def start(broker_url: str | None = None) -> Ears:
            ears = Ears(broker_url, tmp_path / "home")
            stack.callback(ears.listener.close)
            return ears

        yield start


@contextmanager
def killed(server: RedisServer) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def paused(server: RedisServer) -> Iterator[None]:
    server.pause()
    yield
    server.resume()


@contextmanager
def failed_over(server: RedisServer) -> Iterator[None]:
    """Another server is the master now: READONLY."""
    with server.connect() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        yield
        client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def out_of_memory(server: RedisServer) -> Iterator[None]:
    """OOM, and a connection that has to be opened anew."""
    with server.connect() as client:
        client.config_set("maxmemory", "1")
        client.client_kill_filter(skipme=True, _type="normal")
        yield
        client.config_set("maxmemory", "0")


@contextmanager
def unable_to_save(server: RedisServer) -> Iterator[None]:
    """MISCONF: its folder is gone, and it was told to keep what it holds."""
    with server.connect() as client:
        folder = Path(client.config_get("dir")["dir"])
        client.config_set("save", "3600 1")
        shutil.rmtree(folder)
        client.bgsave()
        while client.info("persistence")["rdb_last_bgsave_status"] == "ok":
            pass
        with pytest.raises(redis.ResponseError, match="MISCONF"):
            client.set("any", 1)
        yield
        client.config_set("save", "")
    folder.mkdir()


@contextmanager
def of_another_kind(server: RedisServer) -> Iterator[None]:
    """Something else has the queue's name."""
    with server.connect() as client:
        client.delete(QUEUE)
        client.set(QUEUE, "a text")
        yield
        client.delete(QUEUE)


FAULTS = (killed, paused, failed_over, out_of_memory, unable_to_save, of_another_kind)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_whatever_redis_does_the_listener_says_so_once_and_comes_back(
    redis_server: RedisServer, listen: Callable[..., Ears], wait_until, fault, caplog: pytest.LogCaptureFixture
) -> None:
    redis_server.empty()
    ears = listen(redis_server.url)
    wait_until(lambda: ears.listener.is_connected)
    with caplog.at_level(logging.INFO, "worker.loop.wake_listener"), fault(redis_server):
        wait_until(lambda: not ears.listener.is_connected and "cannot be reached or used" in caplog.text)
    with caplog.at_level(logging.INFO, "worker.loop.wake_listener"):
        assert ears.hears()
        wait_until(lambda: "the broker is back" in caplog.text)
    causes = [record.args[0] for record in caplog.records if "cannot be reached" in record.message and record.args]
    assert all(one != other for one, other in itertools.pairwise(causes))
    assert redis_server.count_listeners() <= 1


def test_a_redis_that_was_emptied_and_a_wire_that_was_cut_are_heard_again(
    redis_server: RedisServer, listen: Callable[..., Ears], wait_until
) -> None:
    wire = Wire(redis_server.port)
    ears = listen(wire.url.replace("http", "redis"))
    ears.broker = (redis_server.url, ears.broker[1])
    assert ears.hears()
    redis_server.empty()
    assert ears.hears()
    wire.cut()
    wait_until(lambda: not ears.listener.is_connected)
    wire.mend()
    assert ears.hears()
    wire.close()


@pytest.mark.parametrize("is_redis", [True, False], ids=["redis", "files"])
def test_garbage_is_dropped_and_counted_and_the_next_message_is_heard(
    redis_server: RedisServer, listen: Callable[..., Ears], wait_until, is_redis, caplog: pytest.LogCaptureFixture
) -> None:
    redis_server.empty()
    ears = listen(redis_server.url if is_redis else None)
    wait_until(lambda: ears.listener.is_connected)
    with caplog.at_level(logging.WARNING, "worker.loop.wake_listener"):
        with redis_server.connect() as client:
            for number, content in enumerate(FLOOD):
                if is_redis:
                    client.lpush(QUEUE, content)
                else:
                    folder = ears.broker[1] / "broker" / "messages"
                    (folder / f"{number:016d}_any.{QUEUE}.msg").write_bytes(content)
        app = build_broker(*ears.broker)
        app.send_task("another.task", ignore_result=True)
        app.close()
        wait_until(lambda: ears.listener.unreadable_count == len(FLOOD) + 1)
        assert not ears.woken.is_set()
        assert ears.hears()
    # The first, the tenth and the hundredth.
    assert caplog.text.count("no wake messages") == 3


def test_a_folder_of_messages_that_was_deleted_is_made_again(listen: Callable[..., Ears]) -> None:
    ears = listen()
    assert ears.hears()
    # The listener may be making parts of it again meanwhile.
    shutil.rmtree(ears.broker[1] / "broker", ignore_errors=True)
    assert ears.hears()


def test_a_busy_worker_leaves_messages_to_others(
    redis_server: RedisServer, listen: Callable[..., Ears], wait_until
) -> None:
    redis_server.empty()
    busy = listen(redis_server.url)
    assert busy.hears()
    busy.listener.is_idle.clear()
    wait_until(lambda: not busy.listener.is_connected)
    idle = listen(redis_server.url)
    for _ in range(5):
        assert idle.hears()
    assert not busy.woken.is_set()


def test_after_a_message_no_other_one_is_taken_before_the_worker_is_idle_again(
    redis_server: RedisServer, listen: Callable[..., Ears], wait_until
) -> None:
    redis_server.empty()
    ears = listen(redis_server.url)
    wait_until(lambda: ears.listener.is_connected)
    app = build_broker(*ears.broker)
    for _ in range(3):
        app.send_task(WORK_TASK, ignore_result=True)
    app.close()
    assert ears.woken.wait(PATIENCE_SECONDS)
    wait_until(lambda: not ears.listener.is_connected)
    with redis_server.connect() as client:
        assert client.llen(QUEUE) == 2


def test_a_worker_that_hears_nothing_finds_its_job_says_so_and_listens_anew(
    live_service, tiny_spec, tmp_path, wait_until, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its messages go through another folder: as deaf as a worker can be whose broker seems well."""
    settings = WorkerSettings(url=live_service.url, home=tmp_path / "elsewhere", broker_url="")
    worker = PollingWorker(settings, look_every_seconds=0.1)
    assert worker.listener is not None
    # Nothing to do at its start, then a job.
    counts = iter((0, 1))
    monkeypatch.setattr(worker.loop, "run_until_empty", lambda: next(counts))
    monkeypatch.setattr(polling, "ANNOUNCED_WITHIN_SECONDS", 0.1)
    restarts = []
    monkeypatch.setattr(worker.listener, "restart", lambda: (restarts.append(1), worker.loop.shut_down()))
    worker.listener.start()
    with Client(live_service.url) as client, caplog.at_level(logging.WARNING):
        thread = threading.Thread(target=worker._work, args=(client,))
        thread.start()
        wait_until(lambda: worker.listener.is_connected)
        client.submit(tiny_spec)
        thread.join(PATIENCE_SECONDS)
    worker.listener.close()
    assert restarts == [1]
    assert "no message had announced" in caplog.text


def test_a_listener_that_hangs_is_replaced_by_another(
    redis_server: RedisServer, listen: Callable[..., Ears], monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, ended = threading.Event(), threading.Event()
    listen_truly = wake_listener._Consumer._listen

    def hang(consumer: Any) -> None:
        if not hangs.is_set():
            hangs.set()
            ended.wait()
            return
        listen_truly(consumer)

    monkeypatch.setattr(wake_listener._Consumer, "_listen", hang)
    ears = listen(redis_server.url)
    assert hangs.wait(PATIENCE_SECONDS)
    ears.listener.restart()
    assert ears.hears()
    ended.set()
