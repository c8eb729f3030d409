"""A thread that calls a function every few seconds."""

import logging
import threading

import pytest

from worker.loop.periodic import PeriodicThread

PATIENCE_SECONDS = 60.0


def test_a_call_that_fails_is_logged_and_the_next_one_still_comes(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    enough = threading.Event()

    def act() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise RuntimeError("the first call breaks")
        enough.set()

    thread = PeriodicThread("tests", act, every_seconds=0.01)
    with caplog.at_level(logging.ERROR):
        thread.start()
        assert enough.wait(PATIENCE_SECONDS)
        thread.close()
    assert "the first call breaks" in caplog.text


def test_the_first_call_waits_unless_it_is_asked_for() -> None:
    called = threading.Event()
    thread = PeriodicThread("tests", called.set, every_seconds=3600)
    thread.start()
    assert not called.wait(0.05)
    thread.call_soon()
    assert called.wait(PATIENCE_SECONDS)
    thread.close()
    called.clear()
    at_once = PeriodicThread("tests", called.set, every_seconds=3600, at_once=True)
    at_once.start()
    assert called.wait(PATIENCE_SECONDS)
    at_once.close()


def test_a_function_may_close_its_own_thread() -> None:
    closed = threading.Event()

    def act() -> None:
        thread.close()
        closed.set()

    thread = PeriodicThread("tests", act, every_seconds=3600, at_once=True)
    thread.start()
    assert closed.wait(PATIENCE_SECONDS)
    thread.close()


def test_a_thread_that_never_started_can_be_closed() -> None:
    PeriodicThread("tests", lambda: None, every_seconds=3600).close()
