"""The words that say whether a run learns and is healthy: bounds where they hold, and else what is so."""

import pytest

from api.schemas import JobRead, LatestMetric
from dashboard.views.health import judge_health, judge_learning


def make_job(
    discriminator_loss: str = "minimax", state: str = "running", iteration: int = 500, loss: float = 1.0
) -> JobRead:
    spec = {"losses": {"discriminator": discriminator_loss}}
    latest = {"loss/generator": LatestMetric(iteration=iteration, value=loss)}
    return JobRead.model_construct(
        state=state, spec=spec, iteration=iteration, iterations=1000, latest=latest, attempt=1,
        cancel_requested_at=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "word"),
    [
        ([1.386] * 20, "Balanced"),
        ([0.05] * 20, "One-sided"),
        ([2.5] * 20, "One-sided"),
        ([0.05] * 100 + [1.0] * 20, "Balanced"),
        ([1.0] * 20 + [float("nan")], "No longer"),
        ([], "Not yet known"),
    ],
)
def test_minimax_losses_are_judged_by_their_newest_mean(losses: list[float], word: str) -> None:
    assert judge_learning(make_job(), losses, 50).word == word


def test_losses_without_a_fixed_point_are_not_judged() -> None:
    verdict = judge_learning(make_job("wasserstein"), [-3.0] * 20, 50)
    assert (verdict.word, "wasserstein" in verdict.text) == ("See the pictures", True)


@pytest.mark.parametrize(
    ("changes", "word", "text"),
    [
        (
            {"losses": {"discriminator": "minimax", "classes": {"kind": "auxiliary"}}},
            "See the pictures",
            "classes",
        ),
        ({"techniques": [{"technique": "r1"}]}, "See the pictures", "what r1 adds"),
        ({"losses": {"discriminator": "none"}}, "See the accuracy", "classifier"),
        ({"techniques": [{"technique": "ema_generator"}]}, "One-sided", "coin"),
    ],
)
def test_a_loss_that_holds_more_than_real_against_fake_is_not_judged(
    changes: dict[str, object], word: str, text: str
) -> None:
    job = make_job()
    verdict = judge_learning(job.model_copy(update={"spec": {**job.spec, **changes}}), [2.5] * 20, 50)
    assert (verdict.word, text in verdict.text) == (word, True)


def test_broken_off_run_says_how_far_it_came() -> None:
    verdict = judge_learning(make_job(state="cancelled"), [1.0], 50)
    assert (verdict.word, "50 %" in verdict.text) == ("Broken off", True)


@pytest.mark.parametrize(
    ("iteration", "points", "word"),
    [
        (99, 99, "Too early to tell"),
        (100, 50, "Balanced"),
        (499, 49, "Too early to tell"),
        # It logs seldom: half of the run is late enough.
        (500, 10, "Balanced"),
    ],
)
def test_first_losses_are_not_judged(iteration: int, points: int, word: str) -> None:
    assert judge_learning(make_job(iteration=iteration), [1.2] * 20, points).word == word


def test_run_that_ended_before_its_first_iteration_never_began() -> None:
    verdict = judge_learning(make_job(state="failed", iteration=0), [], 0)
    assert (verdict.word, "%" in verdict.text) == ("Never began", False)


@pytest.mark.parametrize(
    ("loss", "word"), [(-411_872.0, "Large losses"), (10_001.0, "Large losses"), (9_999.0, "Steady")]
)
def test_very_large_losses_are_called_out_whichever_loss_it_is(loss: float, word: str) -> None:
    verdict = judge_health(make_job("wasserstein", loss=loss), 0)
    assert verdict.word == word
    assert (f"the generator's is {'−' if loss < 0 else ''}{abs(loss):,.0f}" in verdict.text) == (word != "Steady")


def test_no_balance_is_claimed_when_the_generators_loss_is_no_number() -> None:
    assert judge_learning(make_job(loss=float("nan")), [1.2] * 20, 50).word == "No longer"
