"""How often each player is updated: which batches are seen, and what the adaptive advantage decides."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ganlib.spec.job import JobSpec, training_identity
from ganlib.spec.parse import parse_spec
from ganlib.spec.sections.optimisers import AdaptiveAdvantageSpec
from ganlib.training import data
from ganlib.training.recording.run_reporter import log_ratio_of
from ganlib.training.state import build_state
from ganlib.training.step import train_step
from ganlib.training.update_schedule import AdaptiveSchedule, UpdateSchedule, build_update_schedule

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]
CPU = torch.device("cpu")

EXACT_RHYTHMS: dict[str, dict[str, Any]] = {
    "discriminator_steps": {"discriminator_steps": 3},
    "generator_advantage": {"generator_advantage": 2},
    "both, across epochs": {"discriminator_steps": 2, "generator_advantage": 2, "batch_size": 700},
    "adaptive": {"adaptive_advantage": {"every": 2, "tolerance": 0.01}},
    "schedules": {
        "optimisers": {
            "generator": {"kind": "rmsprop", "momentum": 0.5, "schedule": {"kind": "linear", "to_iteration": 6}},
            "discriminator": {"kind": "sgd", "learning_rate": 0.1, "momentum": 0.5},
        }
    },
}


@pytest.mark.parametrize("changes", EXACT_RHYTHMS.values(), ids=EXACT_RHYTHMS.keys())
def test_the_same_schedule_gives_the_same_bytes_whether_stopped_or_not(
    make_spec: MakeSpec, run_training: RunTraining, changes: dict[str, Any]
) -> None:
    spec = make_spec(**changes, log_every=1, sample_every=1)
    whole = run_training(spec)
    for stop_at in (1, 3, 4):
        first = run_training(spec, stop_at=stop_at)
        second = run_training(spec, resume_from=first.out_dir / f"checkpoints/{stop_at:08d}.safetensors")
        both = first.files() | second.files()
        assert {name: both[name] for name in whole.files()} == whole.files()
        assert first.numbers() + second.numbers() == whole.numbers()


def test_an_adaptive_schedule_that_forgets_where_it_was_gives_other_bytes(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(adaptive_advantage={"every": 2, "tolerance": 0.01})
    whole = run_training(spec)
    first = run_training(spec, stop_at=3)
    monkeypatch.setattr(AdaptiveSchedule, "load_state_dict", lambda self, tensors: None)
    second = run_training(spec, resume_from=first.out_dir / "checkpoints/00000003.safetensors")
    assert second.files()["samples/00000006.png"] != whole.files()["samples/00000006.png"]


def test_each_update_of_the_discriminator_sees_the_next_batch(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    gather = data.gather_images

    def noted(images: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        seen.append(indices.tolist())
        return gather(images, indices)

    monkeypatch.setattr(data, "gather_images", noted)
    state = build_state(make_spec(discriminator_steps=3), CPU)
    train_step(state)
    train_step(state)
    assert seen == [state.data.order.indices(batch).tolist() for batch in range(1, 7)]


@pytest.mark.parametrize(("discriminator_steps", "generator_steps"), [(1, 1), (3, 1), (1, 4), (2, 5)])
def test_each_player_is_updated_as_often_as_the_spec_says(
    make_spec: MakeSpec, discriminator_steps: int, generator_steps: int
) -> None:
    spec = make_spec(discriminator_steps=discriminator_steps, generator_advantage=generator_steps)
    state = build_state(spec, CPU)
    updates = {"discriminator": 0, "generator": 0}

    def count(player: str) -> Callable[..., None]:
        return lambda *args: updates.update({player: updates[player] + 1})

    state.discriminator_optimiser.register_step_post_hook(count("discriminator"))
    state.generator_optimiser.register_step_post_hook(count("generator"))
    train_step(state)
    train_step(state)
    assert updates == {"discriminator": 2 * discriminator_steps, "generator": 2 * generator_steps}


def test_a_fixed_schedule_numbers_the_batches_without_a_gap() -> None:
    assert list(UpdateSchedule().batches(7)) == [7]
    assert [list(UpdateSchedule(3).batches(iteration)) for iteration in (1, 2)] == [[1, 2, 3], [4, 5, 6]]


def play(schedule: UpdateSchedule, *losses: tuple[float, float]) -> list[tuple[int, int]]:
    """Return (discriminator's, generator's) updates after each iteration with these (D, G) losses."""
    steps = []
    for iteration, (discriminator, generator) in enumerate(losses, start=1):
        schedule.end_iteration(iteration, torch.tensor(discriminator), torch.tensor(generator))
        steps.append((schedule.discriminator_steps, schedule.generator_steps))
    return steps


def adaptive(**fields: Any) -> AdaptiveSchedule:
    return AdaptiveSchedule(AdaptiveAdvantageSpec(**fields), CPU)


def test_the_player_that_is_behind_gets_more_updates_up_to_the_most() -> None:
    # log(3/1) = 1.1 is above 0.25, so the generator is behind; log(1/3) is below -0.25.
    generator_behind, discriminator_behind = [(1.0, 3.0)] * 4, [(3.0, 1.0)] * 5
    assert play(adaptive(every=1, most=3), *generator_behind) == [(1, 2), (1, 3), (1, 3), (1, 3)]
    assert play(adaptive(every=1, most=3), *discriminator_behind) == [(2, 1), (3, 1), (3, 1), (3, 1), (3, 1)]


def test_an_advantage_is_taken_back_before_the_other_player_gets_one() -> None:
    losses = [(1.0, 3.0)] * 2 + [(3.0, 1.0)] * 3
    assert play(adaptive(every=1), *losses) == [(1, 2), (1, 3), (1, 2), (1, 1), (2, 1)]


def test_losses_within_the_tolerance_change_nothing() -> None:
    # log(1.2) = 0.18, log(1.3) = 0.26
    assert play(adaptive(every=1), (1.0, 1.2), (1.2, 1.0)) == [(1, 1), (1, 1)]
    assert play(adaptive(every=1), (1.0, 1.3)) == [(1, 2)]
    assert play(adaptive(every=1), (float("nan"), 1.0), (0.0, 0.0)) == [(1, 1), (1, 1)]
    assert play(adaptive(every=1), (0.0, 1.0)) == [(1, 2)]


def test_a_decision_takes_the_sums_since_the_last_one() -> None:
    # 1 + 1 + 9 against 5 + 5 + 0: log(10/11) changes nothing; then 3 against 6.
    losses = [(1.0, 5.0), (1.0, 5.0), (9.0, 0.0), (1.0, 2.0), (1.0, 2.0), (1.0, 2.0)]
    assert play(adaptive(every=3), *losses) == [(1, 1)] * 5 + [(1, 2)]


def test_an_adaptive_schedule_numbers_the_batches_without_a_gap() -> None:
    schedule, seen = adaptive(every=1), list[int]()
    for iteration in range(1, 4):
        seen += schedule.batches(iteration)
        play(schedule, (3.0, 1.0))
    assert seen == [1, 2, 3, 4, 5, 6]


def test_what_the_adaptive_advantage_decided_is_logged(make_spec: MakeSpec, run_training: RunTraining) -> None:
    run = run_training(make_spec(adaptive_advantage={"every": 1, "tolerance": 0.001}))
    values = [values for _, values in run.numbers()]
    assert all({"updates/generator", "updates/discriminator"} <= one.keys() for one in values)
    assert any(one["updates/generator"] + one["updates/discriminator"] > 2 for one in values)
    plain = run_training(make_spec()).numbers()
    assert not any(name.startswith("updates/") for _, one in plain for name in one)


@pytest.mark.parametrize("changes", EXACT_RHYTHMS.values(), ids=EXACT_RHYTHMS.keys())
def test_a_schedule_survives_being_written_and_read(make_spec: MakeSpec, changes: dict[str, Any]) -> None:
    spec = make_spec(**changes)
    assert parse_spec(spec.model_dump(mode="json")) == spec


def test_fields_of_the_schedule_make_another_run(make_spec: MakeSpec) -> None:
    specs = [make_spec(), *(make_spec(**changes) for changes in EXACT_RHYTHMS.values())]
    assert len({training_identity(spec) for spec in specs}) == len(specs)
    assert isinstance(build_update_schedule(make_spec(adaptive_advantage={}), CPU), AdaptiveSchedule)


def test_the_log_ratio_is_above_0_where_the_generator_is_behind() -> None:
    assert log_ratio_of(4.0, 2.0) == {"loss/log_ratio": pytest.approx(0.6931471805599453, rel=1e-12)}
    assert log_ratio_of(2.0, 4.0) == {"loss/log_ratio": pytest.approx(-0.6931471805599453, rel=1e-12)}


@pytest.mark.parametrize(
    "losses", [(0.0, 1.0), (1.0, 0.0), (-1.0, -1.0), (float("nan"), 1.0), (1.0, float("inf"))]
)
def test_there_is_no_log_ratio_of_losses_that_are_not_above_0(losses: tuple[float, float]) -> None:
    assert log_ratio_of(*losses) == {}


def test_the_log_ratio_is_logged_where_it_exists(make_spec: MakeSpec, run_training: RunTraining) -> None:
    for _, values in run_training(make_spec()).numbers():
        generator, discriminator = values["loss/generator"], values["loss/discriminator"]
        assert values["loss/log_ratio"] == log_ratio_of(generator, discriminator)["loss/log_ratio"]
    minimax = make_spec(losses={"generator": "minimax"})
    assert all("loss/log_ratio" not in values for _, values in run_training(minimax).numbers())


MATCHING = {"technique": "feature_matching", "weight": 1000.0}


@pytest.mark.parametrize(
    ("techniques", "own"),
    [
        ([MATCHING], {"loss/generator_penalty"}),
        ([{**MATCHING, "mode": "add"}], {"loss/generator_penalty"}),
        ([{"technique": "r1", "gamma": 1000}], {"loss/discriminator_penalty"}),
        ([{"technique": "historical_averaging"}], {"loss/generator_penalty", "loss/discriminator_penalty"}),
        ([{"technique": "label_smoothing"}], set()),
    ],
)
def test_the_ratio_is_that_of_the_adversarial_losses_and_penalties_are_logged_apart(
    make_spec: MakeSpec, run_training: RunTraining, techniques: list[dict[str, Any]], own: set[str]
) -> None:
    for _, values in run_training(make_spec(techniques=techniques)).numbers():
        assert {name for name in values if name.endswith("_penalty")} == own
        adversarial = {
            player: values.get(f"loss/{player}_adversarial", values[f"loss/{player}"])
            for player in ("generator", "discriminator")
        }
        expected = log_ratio_of(adversarial["generator"], adversarial["discriminator"])
        assert values["loss/log_ratio"] == expected["loss/log_ratio"]
        # Both are near those of a discriminator that cannot tell, whatever is added to them.
        assert abs(values["loss/log_ratio"]) < 1.5
        for player, loss in adversarial.items():
            added = values.get(f"loss/{player}_penalty", 0.0)
            replaced = loss if techniques == [MATCHING] and player == "generator" else 0.0
            assert values[f"loss/{player}"] == pytest.approx(loss - replaced + added, rel=1e-5)


def test_the_class_loss_is_no_part_of_the_ratio(make_spec: MakeSpec, run_training: RunTraining) -> None:
    discriminator = {"layers": [{"layer": "dense", "size": 10}]}
    classes = {"classes": {"kind": "semi_supervised", "weight": 100.0}}
    for _, values in run_training(make_spec(discriminator=discriminator, losses=classes)).numbers():
        assert values["loss/discriminator"] > 100
        assert values["loss/log_ratio"] == pytest.approx(
            log_ratio_of(values["loss/generator"], values["loss/discriminator_adversarial"])["loss/log_ratio"]
        )


@pytest.mark.parametrize("technique", [MATCHING, {**MATCHING, "mode": "add"}, {"technique": "r1", "gamma": 1000}])
def test_penalties_leave_the_adaptive_advantage_to_the_player_that_is_behind(
    make_spec: MakeSpec, technique: dict[str, Any]
) -> None:
    advantage = {"adaptive_advantage": {"every": 1, "tolerance": 0.001}}
    states = [build_state(make_spec(**advantage, techniques=part), CPU) for part in ([], [technique])]
    for state in states:
        train_step(state)
    # Before its first update the generator is the same with a penalty and without, and so is the ratio.
    steps = [(each.update_schedule.discriminator_steps, each.update_schedule.generator_steps) for each in states]
    assert steps[0] == steps[1]
    assert steps[0] != (1, 1)
