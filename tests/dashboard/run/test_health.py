"""The words that say whether a run learns and is healthy: bounds where they hold, and else what is so."""

import pytest

from api.curves.schemas import Curve
from api.jobs.schemas import JobRead, LatestMetric
from dashboard.run.health import MeanLogits, judge_health, judge_learning, read_mean_logits


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
        ({"techniques": [{"technique": "r1"}]}, "See the pictures", "the term of r1"),
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
    assert (verdict.word, "50 %" in verdict.text) == ("Stopped early", True)


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


@pytest.mark.parametrize(("loss", "word"), [(6.5e27, "Unlikely"), (-2e4, "Unlikely"), (9_999.0, "Balanced")])
@pytest.mark.parametrize("discriminator_loss", ["minimax", "hinge"])
def test_no_balance_is_claimed_of_losses_beyond_all_bounds(
    discriminator_loss: str, loss: float, word: str
) -> None:
    job = make_job(discriminator_loss, loss=loss)
    assert judge_learning(job, [1.2] * 20, 50, make_logits(0.4, -0.4)).word == word
    # Nor is it too early to say so.
    assert (judge_learning(job, [1.2], 1).word == "Unlikely") == (word == "Unlikely")


def test_very_large_losses_say_what_to_try() -> None:
    assert "learning rates" in judge_health(make_job(loss=6.5e27), 0).text


@pytest.mark.parametrize(("state", "word"), [("running", "Starting"), ("succeeded", "Steady")])
def test_health_is_not_claimed_before_the_first_loss(state: str, word: str) -> None:
    job = make_job(state=state).model_copy(update={"latest": {}})
    assert judge_health(job, 0).word == word


def test_no_balance_is_claimed_when_the_generators_loss_is_no_number() -> None:
    assert judge_learning(make_job(loss=float("nan")), [1.2] * 20, 50).word == "No longer"


def make_logits(real: float, fake: float, points: int = 60) -> MeanLogits:
    return MeanLogits([real] * points, [fake] * points)


CLASSES = {"losses": {"discriminator": "minimax", "classes": {"kind": "semi_supervised"}}}
R1 = {"techniques": [{"technique": "r1"}]}


@pytest.mark.parametrize(
    ("spec", "logits", "word", "text"),
    [
        (
            CLASSES,
            make_logits(1.0, -1.0),
            "Balanced",
            "mean logits 1.00 for real images, −1.00 for generated ones",
        ),
        (CLASSES, make_logits(5.0, -4.0), "One-sided", "nearly always right"),
        (CLASSES, make_logits(5.0, -1.0), "Balanced", "Neither"),
        (R1, make_logits(-0.5, 0.5), "One-sided", "takes generated images for the real ones"),
        ({"losses": {"discriminator": "hinge"}}, make_logits(1.2, -1.3), "One-sided", "nearly always right"),
        ({"losses": {"discriminator": "hinge"}}, make_logits(0.4, -0.4), "Balanced", "Neither"),
        (
            {"losses": {"discriminator": "least_squares"}},
            make_logits(0.97, 0.02),
            "One-sided",
            "nearly always right",
        ),
        ({"losses": {"discriminator": "least_squares"}}, make_logits(0.6, 0.4), "Balanced", "Neither"),
        ({"losses": {"discriminator": "wasserstein"}}, make_logits(2.0, 1.0), "Holding", "distance is 1.00"),
        ({"losses": {"discriminator": "wasserstein"}}, make_logits(1.0, 2.0), "One-sided", "takes generated"),
        ({"losses": {"discriminator": "catgan"}}, make_logits(1.0, -1.0), "See the pictures", "catgan"),
    ],
)
def test_mean_logits_tell_who_is_ahead_where_the_loss_holds_more(
    spec: dict[str, object], logits: MeanLogits, word: str, text: str
) -> None:
    job = make_job().model_copy(update={"spec": spec})
    verdict = judge_learning(job, [2.5] * 20, 60, logits)
    assert (verdict.word, text in verdict.text) == (word, True), verdict


@pytest.mark.parametrize(("newest", "word"), [(1.0, "Closing in"), (9.0, "Moving apart"), (4.1, "Holding")])
def test_a_critics_distance_is_compared_with_that_at_half_of_the_way(newest: float, word: str) -> None:
    gaps = [8.0] * 50 + [4.0] * 30 + [newest] * 20
    verdict = judge_learning(make_job("wasserstein"), [0.0] * 20, 100, MeanLogits(gaps, [0.0] * 100))
    assert (verdict.word, "halfway it was 4.00" in verdict.text) == (word, True)


def test_minimax_alone_is_judged_by_its_losses_whatever_the_logits() -> None:
    assert judge_learning(make_job(), [1.386] * 20, 50, make_logits(9.0, -9.0)).word == "Balanced"


def test_first_logits_are_not_judged() -> None:
    job = make_job("hinge", iteration=50)
    assert judge_learning(job, [1.0], 10, make_logits(1.2, -1.3)).word == "Too early to tell"


def test_mean_logits_are_paired_by_iteration_and_finite() -> None:
    nan = float("nan")
    real = Curve(name="logits/real", iterations=[1, 2, 3, 4], values=[1, 2, 3, nan], total=4)
    fake = Curve(name="logits/fake", iterations=[2, 3, 4], values=[-1, -2, -3], total=3)
    assert read_mean_logits([real, fake]) == MeanLogits([2, 3], [-1, -2])
    assert read_mean_logits([real]) is None
