"""The words that say whether a run learns: bounds of the minimax loss, and silence about other losses."""

import pytest

from api.schemas import JobRead
from dashboard.views.health import judge_learning


def make_job(discriminator_loss: str = "minimax", state: str = "running") -> JobRead:
    spec = {"losses": {"discriminator": discriminator_loss}}
    return JobRead.model_construct(state=state, spec=spec, iteration=50, iterations=100)


@pytest.mark.parametrize(
    ("losses", "word"),
    [
        ([1.386] * 20, "Balanced"),
        ([0.05] * 20, "One-sided"),
        ([2.5] * 20, "One-sided"),
        ([0.05] * 100 + [1.0] * 20, "Balanced"),
        ([float("nan")], "Not yet known"),
        ([], "Not yet known"),
    ],
)
def test_minimax_losses_are_judged_by_their_newest_mean(losses: list[float], word: str) -> None:
    assert judge_learning(make_job(), losses).word == word


def test_losses_without_a_fixed_point_are_not_judged() -> None:
    verdict = judge_learning(make_job("wasserstein"), [-3.0] * 20)
    assert (verdict.word, "wasserstein" in verdict.text) == ("See the pictures", True)


def test_broken_off_run_says_how_far_it_came() -> None:
    verdict = judge_learning(make_job(state="cancelled"), [1.0])
    assert (verdict.word, "50 %" in verdict.text) == ("Broken off", True)
