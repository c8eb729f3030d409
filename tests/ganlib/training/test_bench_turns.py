"""The benchmark of training stands on the trainer's insides: it has to go on working when those change."""

from typing import Any

import pytest

from bench.training.turns import OURS, Turns


class Counter:
    """A loop that counts its steps."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self) -> None:
        self.steps += 1


@pytest.mark.parametrize("turns", [2, 3])
def test_trainer_and_bare_loop_take_turns_to_the_last_iteration(make_spec: Any, turns: int) -> None:
    bare = Counter()
    taken = Turns(make_spec(iterations=(turns + 1) * 2 + 1), {"bare": bare}, steps=2).run()
    assert set(taken) == {OURS, "bare"}
    assert bare.steps >= turns
    assert all(seconds.wall > 0 for seconds in taken[OURS])
