"""Histograms: bins by hand, what is in them, and the same bytes whether a run was stopped or not."""

import math
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ganlib import trainer
from ganlib.errors import SpecInvalid
from ganlib.events import Histogram, HistogramsLogged
from ganlib.spec.job import JobSpec
from ganlib.training.recording import histograms
from ganlib.training.recording.histograms import count_bins, record_layers
from ganlib.training.state import LogitHistory, StepResult, build_state
from ganlib.training.step import train_step

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]

NAMES = ["logits/real", "logits/fake", "gradients/generator", "gradients/discriminator"]


def occupied(histogram: Histogram) -> dict[int, int]:
    return {place: count for place, count in enumerate(histogram.counts) if count}


def test_bins_by_hand() -> None:
    # From -32 to 32 a bin is 1 wide; the last one has its upper end too.
    found = count_bins(torch.tensor([-32.0, -31.5, -31.0, 0.0, 0.99, 31.0, 32.0]))
    assert (found.low, found.high, found.not_finite) == (-32, 32, 0)
    assert occupied(found) == {0: 2, 1: 1, 32: 2, 63: 2}


def test_what_is_not_finite_lies_in_no_bin() -> None:
    found = count_bins(torch.tensor([0.0, math.nan, 64.0, math.inf, -math.inf, 63.0]))
    assert (found.low, found.high, found.not_finite) == (0, 64, 3)
    assert occupied(found) == {0: 1, 63: 2}
    nothing = count_bins(torch.tensor([math.nan, math.inf]))
    assert (sum(nothing.counts), nothing.not_finite) == (0, 2)


@pytest.mark.parametrize(("value", "low", "high"), [(3.0, 1.5, 4.5), (-2.0, -3.0, -1.0), (0.0, -0.5, 0.5)])
def test_equal_values_lie_in_the_middle(value: float, low: float, high: float) -> None:
    found = count_bins(torch.full((5,), value))
    assert (found.low, found.high) == (low, high)
    assert occupied(found) == {32: 5}


def test_the_largest_floats_have_bins_too() -> None:
    most = torch.finfo(torch.float32).max
    assert occupied(count_bins(torch.tensor([-most, 0.0, most]))) == {0: 1, 32: 1, 63: 1}


def test_a_histogram_without_width_or_with_other_bins_is_refused() -> None:
    good = {"low": 0.0, "high": 1.0, "counts": [1] * 64}
    assert Histogram.model_validate(good).not_finite == 0
    bad: list[dict[str, Any]] = [
        {"low": 1.0}, {"high": math.inf}, {"low": math.nan}, {"counts": [1] * 63}, {"counts": [1] * 65},
        {"counts": [-1] * 64}, {"counts": [2**32] * 64}, {"not_finite": -1},
    ]  # fmt: skip
    for change in bad:
        with pytest.raises(ValidationError):
            Histogram.model_validate(good | change)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[StepResult]:
    """What each iteration computed."""
    seen: list[StepResult] = []
    step = trainer.train_step

    def watched_step(state: Any) -> StepResult:
        seen.append(step(state))
        return seen[-1]

    monkeypatch.setattr(trainer, "train_step", watched_step)
    return seen


def test_each_histogram_holds_all_logits_since_the_one_before(
    make_spec: MakeSpec, run_training: RunTraining, steps: list[StepResult]
) -> None:
    run = run_training(make_spec(iterations=7, histogram_every=3))
    logged = run.of_kind("histograms_logged")
    assert [event.iteration for event in logged] == [3, 6, 7]
    for event, members in zip(logged, ([0, 1, 2], [3, 4, 5], [6]), strict=True):
        assert list(event.histograms) == NAMES
        for name in ("real", "fake"):
            logits = torch.cat([getattr(steps[place], f"{name}_logits") for place in members]).double().numpy()
            found = event.histograms[f"logits/{name}"]
            assert (found.low, found.high) == (logits.min(), logits.max())
            assert list(found.counts) == np.histogram(logits, 64)[0].tolist()
            assert sum(found.counts) == 16 * len(members)


def test_gradients_are_those_of_the_iterations_last_updates_as_powers_of_ten(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    spec = make_spec(iterations=1, histogram_every=1)
    (event,) = run_training(spec).of_kind("histograms_logged")
    state = build_state(spec, torch.device("cpu"))
    train_step(state)
    for player in ("generator", "discriminator"):
        network = getattr(state.networks, player)
        gradients = np.concatenate([weights.grad.flatten().numpy() for weights in network.parameters()])
        powers = np.log10(np.abs(gradients[gradients != 0])).astype(np.float64)
        found = event.histograms[f"gradients/{player}"]
        assert (found.low, found.high) == pytest.approx((powers.min(), powers.max()), abs=1e-5)
        assert np.abs(np.array(found.counts) - np.histogram(powers, 64)[0]).sum() <= 4
        assert found.not_finite == (gradients == 0).sum()


def test_a_stopped_run_has_the_histograms_of_one_that_was_never_stopped(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    spec = make_spec(iterations=9, histogram_every=4)
    whole = run_training(spec)
    first = run_training(spec, stop_at=3)
    second = run_training(spec, resume_from=first.out_dir / "checkpoints/00000003.safetensors")
    assert first.of_kind("histograms_logged") == []
    assert second.of_kind("histograms_logged") == whole.of_kind("histograms_logged")
    assert [event.iteration for event in whole.of_kind("histograms_logged")] == [4, 8, 9]
    last = "checkpoints/00000009.safetensors"
    assert second.files()[last] == whole.files()[last]


def test_control_a_checkpoint_without_the_logits_would_lose_some(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(histogram_every=4)
    first = run_training(spec, stop_at=3)
    monkeypatch.setattr(LogitHistory, "load_state_dict", lambda *_: None)
    second = run_training(spec, resume_from=first.out_dir / "checkpoints/00000003.safetensors")
    assert sum(second.of_kind("histograms_logged")[0].histograms["logits/real"].counts) == 16


def test_a_run_that_is_made_longer_has_the_histograms_of_one_that_was_long_at_once(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    short = run_training(make_spec(iterations=6, histogram_every=4))
    longer = make_spec(iterations=8, histogram_every=4)
    after = run_training(longer, resume_from=short.out_dir / "checkpoints/00000006.safetensors")
    assert after.of_kind("histograms_logged")[-1] == run_training(longer).of_kind("histograms_logged")[-1]


def test_training_does_not_notice_its_histograms(make_spec: MakeSpec, run_training: RunTraining) -> None:
    plain, watched = run_training(make_spec()), run_training(make_spec(histogram_every=2))
    assert plain.of_kind("histograms_logged") == []
    # The checkpoint of iteration 6 follows a histogram, so that no logits wait in it.
    assert watched.files() == plain.files()


def test_histograms_may_begin_and_end_where_a_run_goes_on(make_spec: MakeSpec, run_training: RunTraining) -> None:
    without = run_training(make_spec(), stop_at=3)
    begun = run_training(
        make_spec(histogram_every=2), resume_from=without.out_dir / "checkpoints/00000003.safetensors"
    )
    assert [event.iteration for event in begun.of_kind("histograms_logged")] == [4, 6]
    watched = run_training(make_spec(histogram_every=2), stop_at=3)
    ended = run_training(make_spec(), resume_from=watched.out_dir / "checkpoints/00000003.safetensors")
    assert ended.of_kind("histograms_logged") == []


def test_logits_that_are_no_numbers_break_nothing(
    make_spec: MakeSpec, run_training: RunTraining, steps: list[StepResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = trainer.train_step

    def broken_step(state: Any) -> StepResult:
        result = step(state)
        assert result.real_logits is not None
        result.real_logits.fill_(math.nan)
        return result

    monkeypatch.setattr(trainer, "train_step", broken_step)
    run = run_training(make_spec(histogram_every=3))
    for event in run.of_kind("histograms_logged"):
        found = event.histograms["logits/real"]
        assert (sum(found.counts), found.not_finite) == (0, 48)
        assert sum(event.histograms["logits/fake"].counts) == 48
        assert HistogramsLogged.model_validate_json(event.model_dump_json()) == event


def test_no_number_is_read_on_the_training_thread(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading: list[int] = []
    for name in ("item", "tolist", "cpu"):
        read = getattr(torch.Tensor, name)

        def watched(tensor: torch.Tensor, read: Any = read) -> Any:
            reading.append(threading.get_ident())
            return read(tensor)

        monkeypatch.setattr(torch.Tensor, name, watched)
    run_training(make_spec(histogram_every=1, log_every=100))
    assert len(reading) > 6 * 4
    assert threading.get_ident() not in reading


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"histogram_every": 0}, "must be at least 1"),
        ({"histogram_every": 10_001}, "must be at most 10,?000"),
        ({"histogram_every": 1, "iterations": 100_001, "sample_every": 10}, "100,001 histograms would be kept"),
    ],
)
def test_too_many_histograms_are_refused(make_spec: MakeSpec, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecInvalid, match=words) as caught:
        make_spec(**changes)
    assert [problem.field for problem in caught.value.problems] == ["histogram_every"]


LAYERED: dict[str, Any] = {
    "discriminator": {
        "layers": [{"layer": "dense", "size": 5}, "sigmoid", "batch_norm", {"layer": "dense", "size": 1}]
    },
    "histogram_layers": ["discriminator.layers.0", "generator.layers.5"],
    "histogram_every": 2,
}


def test_a_named_layer_is_recorded_before_and_after_its_activation(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    spec = make_spec(**LAYERED)
    events = run_training(spec).of_kind("histograms_logged")
    assert [event.iteration for event in events] == [2, 2, 4, 4, 6, 6]
    sides = [f"layers/discriminator.{index}" for index in (0, 1)]
    names = ["layers/generator.4", "layers/generator.5"]
    names += [f"{layer}.{side}" for side in ("real", "fake") for layer in sides]
    for event in events[1::2]:
        found = event.histograms
        assert list(found) == names
        # 16 items of five numbers, or of 8×8.
        assert [sum(each.counts) for each in found.values()] == [1024, 1024, 80, 80, 80, 80]
        for inner, outer, function in (
            ("layers/generator.4", "layers/generator.5", math.tanh),
            (f"{sides[0]}.real", f"{sides[1]}.real", lambda value: 1 / (1 + math.exp(-value))),
        ):
            assert (found[outer].low, found[outer].high) == pytest.approx(
                (function(found[inner].low), function(found[inner].high)), abs=1e-5
            )


def test_the_outputs_are_those_of_the_networks_as_they_are_after_the_iteration(make_spec: MakeSpec) -> None:
    state = build_state(make_spec(**LAYERED, latents={"size": 8}), torch.device("cpu"))
    train_step(state)
    inputs: list[torch.Tensor] = []
    hook = state.networks.discriminator.register_forward_hook(lambda module, given, _: inputs.append(given[0]))
    recorded = record_layers(state)
    hook.remove()
    assert len(inputs) == 2
    for images, side in zip(inputs, ("real", "fake"), strict=True):
        expected = state.networks.discriminator[0](images).flatten()  # type: ignore[index]
        assert torch.equal(recorded[f"layers/discriminator.0.{side}"], expected.detach())


@pytest.mark.parametrize("guarded", [True, False])
def test_training_does_not_notice_that_its_layers_are_recorded(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """The control leaves in the networks what the extra pass changes."""
    if not guarded:
        monkeypatch.setattr(histograms, "_unchanged", lambda _: nullcontext())
    random_layers = {"layers": ["dropout", *LAYERED["discriminator"]["layers"]]}
    plain = run_training(make_spec(discriminator=random_layers))
    layers = ["discriminator.layers.2", "generator.layers.2"]
    watched = run_training(make_spec(discriminator=random_layers, histogram_every=2, histogram_layers=layers))
    assert (watched.files() == plain.files()) is guarded


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"histogram_layers": ["discriminator.layers.0"]}, "histogram_layers", "give histogram_every"),
        (
            {"histogram_every": 1, "histogram_layers": ["generator.layers.0", "discriminator.layers.3"]},
            "histogram_layers.1",
            "the discriminator's layers are counted from 0 to 2",
        ),
        (
            {"histogram_every": 1, "histogram_layers": ["hidden"]},
            "histogram_layers.0",
            "must be the path of a layer",
        ),
        ({"histogram_every": 1, "histogram_layers": ["generator.layers.0"] * 9}, "histogram_layers", "at most 8"),
    ],
)
def test_layers_that_there_are_not_are_refused(
    make_spec: MakeSpec, changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecInvalid, match=words) as caught:
        make_spec(**changes)
    assert [problem.field for problem in caught.value.problems] == [field]
