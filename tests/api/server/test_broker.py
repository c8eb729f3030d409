"""Waking workers: messages without payload, whole or not there, and no request that waits for a broker."""

import json
import shutil
import threading
import time
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.main import build_service
from api.server.broker import celery
from api.server.broker.celery import build_broker
from api.server.broker.waker import WorkerWaker
from api.server.settings import Settings
from tests.support.faults.redis_server import run_redis
from tests.support.services import HOST, QUIET, TINY_SPEC


def list_messages(home: Path) -> list[Path]:
    return sorted((home / "broker" / "messages").glob("*.msg"))


def take(home: Path) -> list[Any]:
    """Take every message there is, as a worker would."""
    app = build_broker(None, home)
    with app.connection_for_read() as connection, connection.SimpleQueue(celery.QUEUE) as waiting:
        taken = []
        while waiting.qsize():
            message = waiting.get(timeout=5)
            taken.append(message)
            message.ack()
        return taken


def test_a_wake_carries_nothing_and_expires(tmp_path: Path) -> None:
    app = build_broker(None, tmp_path)
    app.send_task(celery.WORK_TASK, expires=celery.WAKE_EXPIRES_SECONDS, ignore_result=True)
    (message,) = take(tmp_path)
    arguments, named, _ = message.payload
    assert (arguments, named, message.headers["task"]) == ([], {}, "ganvas.work")
    assert message.headers["expires"] is not None
    assert list_messages(tmp_path) == []


def test_messages_come_in_order_and_half_a_message_is_not_seen(tmp_path: Path) -> None:
    app = build_broker(None, tmp_path)
    for _ in range(3):
        app.send_task(celery.WORK_TASK, ignore_result=True)
    sent = [json.loads(path.read_text())["headers"]["id"] for path in list_messages(tmp_path)]
    (tmp_path / "broker" / "messages" / ".0000000000000000_x.ganvas.msg.part").write_text("{", encoding="utf-8")
    assert sorted(message.headers["id"] for message in take(tmp_path)) == sorted(sent)


def test_two_takers_never_take_one_message(tmp_path: Path) -> None:
    app = build_broker(None, tmp_path)
    for _ in range(40):
        app.send_task(celery.WORK_TASK, ignore_result=True)
    channels = [build_broker(None, tmp_path).connection_for_read().default_channel for _ in range(3)]
    taken: list[str] = []

    def take_all(channel: Any) -> None:
        while list_messages(tmp_path):
            try:
                taken.append(channel._get(celery.QUEUE)["headers"]["id"])
            except Empty:
                return

    threads = [threading.Thread(target=take_all, args=(channel,)) for channel in channels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 40
    for channel in channels:
        channel.connection.client.release()


def wait_for_messages(home: Path, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(list_messages(home)) < count:
        assert time.monotonic() < deadline, "no wake was sent"
        time.sleep(0.01)


def test_a_submitted_job_wakes_workers(home: Path) -> None:
    with TestClient(build_service(Settings(home=home, **QUIET)), base_url=HOST) as client:
        assert client.post("/jobs", json=TINY_SPEC).status_code == 201
        wait_for_messages(home, 1)
    assert len(list_messages(home)) == 1


def test_a_broker_that_is_down_is_only_logged(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(home=home, broker_url="redis://127.0.0.1:1/0", **QUIET)
    with TestClient(build_service(settings), base_url=HOST) as client:
        assert client.post("/jobs", json=TINY_SPEC).status_code == 201
        deadline = time.monotonic() + 20
        while "could not be woken" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert client.get("/jobs").json()["items"][0]["state"] == "queued"


def test_wakes_that_nobody_takes_do_not_pile_up(tmp_path: Path) -> None:
    waker = WorkerWaker(None, tmp_path)
    for _ in range(40):
        waker._send()
    assert len(list_messages(tmp_path)) == 16


def test_a_waker_that_never_woke_anyone_does_not_load_celery(home: Path) -> None:
    with TestClient(build_service(Settings(home=home, **QUIET)), base_url=HOST) as client:
        assert client.get("/healthz").status_code == 200
    assert not (home / "broker").exists()


def test_a_broker_that_hangs_does_not_hold_up_the_waker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(celery._REDIS_OPTIONS, "socket_timeout", 0.2)
    with run_redis(tmp_path) as server:
        waker = WorkerWaker(server.url, tmp_path)
        server.pause()
        with pytest.raises(Exception, match=r"[Tt]imeout"):
            waker._send()
        server.resume()
        waker._send()
        with server.connect() as client:
            assert client.llen(celery.QUEUE) == 1


def test_a_folder_of_messages_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    waker = WorkerWaker(None, tmp_path)
    waker._send()
    shutil.rmtree(tmp_path / "broker")
    waker.start()
    deadline = time.monotonic() + 20
    while not list_messages(tmp_path):
        assert time.monotonic() < deadline, "no wake was sent"
        waker.wake_workers()
        time.sleep(0.01)
    waker.close()
