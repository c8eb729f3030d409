"""The background thread: order, errors, and that training never waits for ever."""

import errno
import threading
from collections.abc import Callable

import pytest

from ganlib.events import Event, LineLogged
from ganlib.training.recording.background_writer import BackgroundWriter


def line(iteration: int) -> Callable[[], Event]:
    return lambda: LineLogged(iteration=iteration, text="a line")


def record(deliver: Callable[[Event], None], count: int, interrupt: bool = False) -> None:
    with BackgroundWriter(deliver) as recorder:
        for iteration in range(count):
            recorder.put(line(iteration))
        if interrupt:
            raise KeyboardInterrupt


def test_events_arrive_in_order_from_one_other_thread_and_all_before_the_end() -> None:
    seen: list[tuple[int, int]] = []
    with BackgroundWriter(lambda event: seen.append((event.iteration, threading.get_ident()))) as recorder:
        for iteration in range(500):
            recorder.put(line(iteration))
    assert [iteration for iteration, _ in seen] == list(range(500))
    assert len({thread for _, thread in seen}) == 1
    assert seen[0][1] != threading.get_ident()


def test_events_are_made_on_the_other_thread_too() -> None:
    makers: list[int] = []

    def make() -> Event:
        makers.append(threading.get_ident())
        return LineLogged(iteration=1, text="a line")

    with BackgroundWriter(lambda event: None) as recorder:
        recorder.put(make)
    assert makers != [threading.get_ident()]


def test_an_error_of_delivery_ends_it_and_surfaces_where_training_can_see_it() -> None:
    delivered: list[int] = []

    def deliver(event: Event) -> None:
        if event.iteration == 3:
            raise OSError("the disk is full")
        delivered.append(event.iteration)

    # Many more than may wait: the queue must not block after the error.
    with pytest.raises(OSError, match="the disk is full"):
        record(deliver, 1000)
    assert delivered == [0, 1, 2]


def test_an_error_of_the_last_event_surfaces_on_leaving() -> None:
    def fail() -> Event:
        raise ValueError("cannot be made")

    with pytest.raises(ValueError, match="cannot be made"), BackgroundWriter(lambda event: None) as recorder:
        recorder.put(fail)


def test_an_error_of_training_is_not_hidden_and_what_was_queued_is_delivered() -> None:
    delivered: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        record(lambda event: delivered.append(event.iteration), 2, interrupt=True)
    assert delivered == [0, 1]


def test_draining_waits_until_nothing_waits() -> None:
    delivered: list[int] = []
    with BackgroundWriter(lambda event: delivered.append(event.iteration)) as recorder:
        for iteration in range(20):
            recorder.put(line(iteration))
        recorder.drain()
        assert len(delivered) == 20


def test_draining_after_an_error_raises_it_instead_of_waiting_for_ever() -> None:
    def fail() -> Event:
        raise ValueError("cannot be made")

    def put_and_drain() -> None:
        with BackgroundWriter(lambda event: None) as recorder:
            recorder.put(fail)
            recorder.drain()

    with pytest.raises(ValueError, match="cannot be made"):
        put_and_drain()


def test_a_slow_listener_slows_training_down_instead_of_filling_the_memory() -> None:
    gate, entered = threading.Event(), threading.Event()

    def deliver(event: Event) -> None:
        entered.set()
        gate.wait(30)

    with BackgroundWriter(deliver, max_waiting=2) as recorder:
        recorder.put(line(0))
        assert entered.wait(30)
        putter = threading.Thread(target=lambda: [recorder.put(line(iteration)) for iteration in range(3)])
        putter.start()
        putter.join(0.2)
        assert putter.is_alive()  # two wait, the third has no room
        gate.set()
        putter.join(30)
        assert not putter.is_alive()


def fail_for_want_of_room() -> Event:
    raise OSError(errno.ENOSPC, "no room")


def test_a_file_without_room_is_told_and_what_follows_is_delivered() -> None:
    seen, unsaved = [], []
    with BackgroundWriter(seen.append, unsaved.append) as recorder:
        for make in (line(1), fail_for_want_of_room, line(2)):
            recorder.put(make)
    assert [event.iteration for event in seen] == [1, 2]
    assert [error.errno for error in unsaved] == [errno.ENOSPC]


def test_control_a_file_without_room_is_an_error_where_nobody_is_told() -> None:
    with pytest.raises(OSError, match="no room"), BackgroundWriter(lambda _: None) as recorder:
        recorder.put(fail_for_want_of_room)


def test_another_error_of_the_disk_is_an_error_all_the_same() -> None:
    def fail() -> Event:
        raise OSError(errno.EIO, "a broken disk")

    with pytest.raises(OSError, match="a broken disk"), BackgroundWriter(print, print) as recorder:
        recorder.put(fail)
