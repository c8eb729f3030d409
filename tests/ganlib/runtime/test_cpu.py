"""How many threads a trainer starts with."""

import os

import pytest

from ganlib.runtime.cpu import count_threads, thread_settings


def test_one_core_is_left_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert thread_settings()["OMP_NUM_THREADS"] == "3"
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert thread_settings()["OMP_NUM_THREADS"] == "1"


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert thread_settings() == {"OMP_NUM_THREADS": "7", "OMP_WAIT_POLICY": "active"}


@pytest.mark.parametrize(("value", "count"), [("7", 7), ("3,2", 3), ("many", None), ("0", None)])
def test_the_number_of_threads_is_told(monkeypatch: pytest.MonkeyPatch, value: str, count: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert count_threads() == count
