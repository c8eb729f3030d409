"""Divergence: no checkpoint of it, the first broken iteration and player by name, and grids that say so."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlib import trainer
from ganlib.errors import CheckpointInvalid, TrainingDiverged
from ganlib.spec.job import JobSpec
from ganlib.training import checkpoint
from ganlib.training.recording import divergence, run_reporter
from ganlib.training.recording.divergence import MOST_WAITING, find_break
from ganlib.training.state import StepResult, TrainingState

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]
# Nothing is logged between the first iteration and the last.
SELDOM = {"iterations": 20, "log_every": 1000, "sample_every": 1000, "checkpoint_every": 4}


def poison(monkeypatch: pytest.MonkeyPatch, after: int, change: Callable[[TrainingState], torch.Tensor]) -> None:
    """Make a number of the tensor NaN after this iteration."""
    step = trainer.train_step

    def poisoned(state: TrainingState) -> StepResult:
        result = step(state)
        if state.iteration == after:
            with torch.no_grad():
                change(state).view(-1)[0] = math.nan
        return result

    monkeypatch.setattr(trainer, "train_step", poisoned)


def weights_of(player: str) -> Callable[[TrainingState], torch.Tensor]:
    return lambda state: next(getattr(state.networks, player).parameters())


def last_average(state: TrainingState) -> torch.Tensor:
    return state.techniques[0].state_dict()["0.weight"]


def first_moment(state: TrainingState) -> torch.Tensor:
    weights = next(state.networks.generator.parameters())
    average: torch.Tensor = state.generator_optimiser.state[weights]["exp_avg_sq"]
    return average


def saved(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").glob("0*"))


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_run_that_breaks_between_two_logs_names_iteration_and_player_and_stores_nothing_of_it(
    make_spec: MakeSpec, run_training: RunTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, player: str
) -> None:
    poison(monkeypatch, 5, weights_of(player))
    with pytest.raises(TrainingDiverged, match="The newest checkpoint is that of iteration 4") as caught:
        run_training(make_spec(**SELDOM))
    # The weights that broke in iteration 5 are first computed with in the next one.
    assert (caught.value.iteration, caught.value.player) == (6, player)
    assert f"at iteration 6: training has diverged, and the {player} broke first" in str(caught.value)
    assert saved(tmp_path / "run0") == ["00000004.safetensors"]


def test_the_iteration_is_the_one_that_a_run_that_logs_each_would_name(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    wild = {"learning_rate": 10.0, "betas": [0.0, 0.0], "epsilon": 1e-30}
    linear = {"layers": [*[{"layer": "dense", "size": 64}] * 9, {"layer": "reshape", "shape": [1, 8, 8]}]}
    changes = {"generator": linear, "optimisers": {"generator": wild, "discriminator": wild}, "iterations": 200}
    found = []
    for log_every in (1, 1000):
        with pytest.raises(TrainingDiverged) as caught:
            run_training(make_spec(**SELDOM | changes | {"log_every": log_every, "checkpoint_every": 1000}))
        found.append((caught.value.iteration, caught.value.player))
    assert found[0] == found[1]
    assert 1 < found[0][0] < 200


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (weights_of("generator"), "generator.0.weight"),
        (weights_of("discriminator"), "discriminator.0.weight"),
        (first_moment, "optimiser.generator.0.weight.exp_avg_sq"),
        (last_average, "technique.0.0.weight"),
    ],
)
def test_all_of_the_state_is_checked_before_it_is_stored(
    make_spec: MakeSpec,
    run_training: RunTraining,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[TrainingState], torch.Tensor],
    named: str,
) -> None:
    poison(monkeypatch, 8, change)
    with pytest.raises(TrainingDiverged, match=rf"^{named}.* not finite at iteration 8") as caught:
        run_training(make_spec(**SELDOM, techniques=[{"technique": "ema_generator"}]))
    assert caught.value.player in (named.removeprefix("optimiser.").split(".")[0], "")
    assert saved(tmp_path / "run0") == ["00000004.safetensors"]


def test_a_run_that_is_stopped_after_it_broke_ends_as_diverged_and_leaves_the_checkpoint_before(
    make_spec: MakeSpec, run_training: RunTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, 6, weights_of("generator"))
    with pytest.raises(TrainingDiverged, match=r"^generator.0.weight.* at iteration 6"):
        run_training(make_spec(**SELDOM), stop_at=6)
    assert saved(tmp_path / "run0") == ["00000004.safetensors"]


def test_control_without_the_checks_the_broken_checkpoint_is_stored_and_then_refused(
    make_spec: MakeSpec, run_training: RunTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        poison(patch, 6, weights_of("generator"))
        patch.setattr(run_reporter, "find_broken_state", lambda *_: None)
        run_training(make_spec(**SELDOM), stop_at=6)
    assert saved(tmp_path / "run0") == ["00000004.safetensors", "00000006.safetensors"]
    broken = tmp_path / "run0/checkpoints/00000006.safetensors"
    with pytest.raises(CheckpointInvalid, match=r"holds numbers that are not finite \(generator.0.weight\)"):
        run_training(make_spec(**SELDOM), resume_from=broken)


def test_a_checkpoint_of_large_numbers_and_of_logits_that_are_none_is_whole() -> None:
    largest = torch.finfo(torch.float32).max
    tensors = {
        "generator.0.weight": torch.tensor([largest, -largest]),
        "logits.real": torch.tensor([math.nan]),
        "random.layers": torch.tensor([255], dtype=torch.uint8),
        "empty": torch.empty(0),
    }
    assert checkpoint.find_broken_tensors(tensors) == []
    broken = {"a": torch.tensor([1.0, math.nan]), "b": torch.tensor([[1.0], [-math.inf]]), "c": torch.zeros(())}
    assert checkpoint.find_broken_tensors(broken | tensors) == ["a", "b"]


def result(
    discriminator: float, generator: float, real: float = 0.0, fake: float = 0.0, **more: float
) -> StepResult:
    numbers = {name: torch.tensor(value) for name, value in more.items()}
    logits = (torch.tensor([real]), torch.tensor([fake]))
    return StepResult(torch.tensor(discriminator), torch.tensor(generator), *logits, None, None, **numbers)


@pytest.mark.parametrize(
    ("step", "player"),
    [
        # D's loss comes first in an iteration: where it still is a number, D's update broke what G's is made of.
        (result(1.0, math.nan, generator_adversarial_loss=math.nan), "discriminator"),
        (result(1.0, math.inf, generator_adversarial_loss=2.0, generator_penalty=math.inf), "generator"),
        (result(math.nan, math.nan, real=1.0, fake=math.nan), "generator"),
        (result(math.nan, math.nan, real=math.nan, fake=math.nan), "discriminator"),
        (result(math.inf, 1.0), "discriminator"),
    ],
)
def test_the_player_that_broke_first_by_hand(step: StepResult, player: str) -> None:
    found = find_break([(7, result(1.0, 1.0)), (8, step), (9, result(math.nan, math.nan))])
    assert found is not None
    assert (found.iteration, found.player) == (8, player)


def test_finite_losses_are_no_break() -> None:
    assert find_break([]) is None
    assert find_break([(1, result(1e30, -1e30))]) is None


def test_no_more_than_so_many_iterations_wait_for_their_check(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_WAITING >= 100
    monkeypatch.setattr(divergence, "MOST_WAITING", 3)
    poison(monkeypatch, 5, weights_of("generator"))
    with pytest.raises(TrainingDiverged) as caught:
        run_training(make_spec(**SELDOM | {"checkpoint_every": 1000, "iterations": 100_000}))
    assert caught.value.iteration == 6


def test_a_grid_with_cells_that_are_no_numbers_says_so(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = run_reporter.draw_floats

    def draw_some(*arguments: Any) -> torch.Tensor:
        images = draw(*arguments)
        images[1, 0, 0, 0], images[4] = math.nan, math.inf
        return images

    monkeypatch.setattr(run_reporter, "draw_floats", draw_some)
    lines = [line for line in run_training(make_spec()).of_kind("line_logged") if line.about == "samples"]
    assert [(line.iteration, line.level) for line in lines] == [(at, "warning") for at in (0, 3, 6)]
    assert lines[1].text.startswith(
        "2 of 6 cells of the sample grid of iteration 3 hold numbers that are not finite"
    )


def test_a_healthy_run_has_no_such_line(make_spec: MakeSpec, run_training: RunTraining) -> None:
    lines = run_training(make_spec()).of_kind("line_logged")
    assert [line for line in lines if line.about == "samples" or line.level != "info"] == []
