"""Updates that are recorded once and replayed: on a CPU by a stand-in for the graph, on CUDA for real."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlib.errors import DeviceUnavailable, SpecInvalid
from ganlib.spec.job import JobSpec, training_identity
from ganlib.spec.sections.optimisers import LinearSchedule, SgdSpec
from ganlib.training.cuda_graph import WARM_UP, StepGraph, build_step_graph
from ganlib.training.data import BatchIndices
from ganlib.training.optimisers import build_optimiser, set_learning_rate
from ganlib.training.state import StepResult, TrainingState, build_state
from ganlib.training.step import train_step

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]
CPU = torch.device("cpu")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

DENSE_TO_ONE = {"layer": "dense", "size": 1}
CONV = {"layer": "conv", "size": 8, "kernel": 3, "stride": 2, "padding": 1}
FADING = {"kind": "linear", "from_iteration": 2, "to_iteration": 12, "factor": 0.1}
RECORDED: dict[str, dict[str, Any]] = {
    "plain": {},
    "schedules, two updates of D, noise and dropout": {
        "discriminator": {
            "layers": [{"layer": "noise", "std": 0.1}, CONV, "leaky_relu", "dropout", DENSE_TO_ONE],
        },
        "optimisers": {
            "generator": {"kind": "adam", "schedule": FADING},
            "discriminator": {"kind": "rmsprop", "schedule": FADING},
        },
        "discriminator_steps": 2,
        "techniques": [
            {"technique": "ema_generator", "decay": 0.8},
            {"technique": "diff_augment"},
            {"technique": "ada", "speed": 0.5},
            {"technique": "lecam", "start": 3},
        ],
    },
    "gradient penalty": {
        "losses": {"discriminator": "wasserstein", "generator": "wasserstein"},
        "techniques": [{"technique": "gradient_penalty"}],
        "optimisers": {"discriminator": {"kind": "sgd", "learning_rate": 1e-3, "momentum": 0.5}},
    },
    "semi-supervised with few labels, batch norm, spectral norm": {
        "dataset": {"name": "digits", "labels": 100},
        "discriminator": {
            "layers": [
                {**CONV, "weights": "spectral_norm"},
                "batch_norm",
                "leaky_relu",
                {"layer": "dense", "size": 10},
            ]
        },
        "losses": {"classes": {"kind": "semi_supervised"}},
        "techniques": [{"technique": "feature_matching"}, {"technique": "ema_discriminator", "decay": 0.8}],
    },
}


class StandIn:
    """Records a function and calls it at each replay, and fills the same tensors each time, as a graph does."""

    def __init__(self) -> None:
        self.replays = 0
        self.outputs: StepResult | None = None

    def warm_up(self, run: Callable[[], StepResult]) -> StepResult:
        result = run()
        self.outputs = copy_of(result)
        return result

    def record(self, run: Callable[[], StepResult]) -> StepResult:
        self.run = run
        assert self.outputs is not None
        return self.outputs

    def replay(self) -> None:
        self.replays += 1
        for kept, computed in zip(tensors_of(self.outputs), tensors_of(self.run()), strict=True):
            kept.copy_(computed)


def tensors_of(result: StepResult | None) -> list[Tensor]:
    found = [getattr(result, field.name) for field in fields(StepResult)]
    return [tensor for tensor in found if tensor is not None]


def copy_of(result: StepResult) -> StepResult:
    copies = {field.name: getattr(result, field.name) for field in fields(result)}
    return replace(result, **{name: tensor.clone() for name, tensor in copies.items() if tensor is not None})


def steps_of(state: TrainingState, count: int = 8) -> list[StepResult]:
    return [train_step(state) for _ in range(count)]


def are_equal(first: list[StepResult], second: list[StepResult]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a, b) for f, s in pairs for a, b in zip(tensors_of(f), tensors_of(s), strict=True))


@pytest.mark.parametrize("changes", RECORDED.values(), ids=RECORDED.keys())
def test_replayed_steps_are_those_of_a_run_without_a_graph(make_spec: MakeSpec, changes: dict[str, Any]) -> None:
    plain = steps_of(build_state(make_spec(**changes), CPU))
    state, recording = build_state(make_spec(**changes), CPU), StandIn()
    state.graph = StepGraph(recording)
    assert are_equal(steps_of(state), plain)
    assert recording.replays == 8 - WARM_UP


def test_that_would_fail_if_the_same_images_were_replayed(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = steps_of(build_state(make_spec(), CPU))
    monkeypatch.setattr(BatchIndices, "copy_", lambda self, other: None)
    state = build_state(make_spec(), CPU)
    state.graph = StepGraph(StandIn())
    replayed = steps_of(state)
    # What was recorded is replayed at once, so the images of the first replay are right in any case.
    assert are_equal(replayed[: WARM_UP + 1], plain[: WARM_UP + 1])
    assert not are_equal(replayed[WARM_UP + 1 : WARM_UP + 2], plain[WARM_UP + 1 : WARM_UP + 2])


def test_a_scheduled_learning_rate_of_a_recorded_optimiser_is_one_tensor_that_changes() -> None:
    spec = SgdSpec(learning_rate=0.5, schedule=LinearSchedule(to_iteration=10, factor=0))
    weights = nn.Parameter(torch.tensor([1.0]))
    optimiser = build_optimiser(spec, [weights], recorded=True)
    rate = optimiser.param_groups[0]["lr"]
    # 0.5 · (1 − 4/10) = 0.3, so the weight goes from 1 to 1 − 0.3 · 2.
    set_learning_rate(optimiser, spec, 4)
    assert optimiser.param_groups[0]["lr"] is rate
    weights.grad = torch.tensor([2.0])
    optimiser.step()
    assert rate.item() == pytest.approx(0.3)
    assert weights.item() == pytest.approx(0.4)
    constant = build_optimiser(SgdSpec(learning_rate=0.5), [weights], recorded=True)
    assert constant.param_groups[0]["lr"] == 0.5


def test_a_run_goes_on_only_with_the_speed_it_began_with(make_spec: MakeSpec) -> None:
    plain = training_identity(make_spec())
    assert training_identity(make_spec(speed={"compile": False})) == plain
    assert training_identity(make_spec(speed={"compile": True})) != plain


def test_a_machine_without_cuda_is_refused_in_a_sentence() -> None:
    with pytest.raises(DeviceUnavailable, match=r"speed\.cuda_graphs, but torch finds no CUDA device"):
        build_step_graph(CPU, [])


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({}, "speed.cuda_graphs", "on CUDA alone"),
        ({"device": "auto", "adaptive_advantage": {"every": 5}}, "adaptive_advantage", "the same updates"),
        (
            {"device": "auto", "techniques": [{"technique": "r1", "every": 4}]},
            "techniques.0.every",
            "set this to 1",
        ),
    ],
)
def test_a_step_that_changes_from_one_iteration_to_the_next_cannot_be_recorded(
    make_spec: MakeSpec, changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        make_spec(**changes, speed={"cuda_graphs": True})
    (problem,) = caught.value.problems
    assert (problem.field, words in problem.message) == (field, True)
    make_spec(**changes)


def test_the_same_techniques_may_be_recorded_where_they_are_the_same_each_time(make_spec: MakeSpec) -> None:
    spec = make_spec(device="auto", techniques=[{"technique": "r1", "every": 1}], speed={"cuda_graphs": True})
    assert spec.speed.cuda_graphs


def on_cuda(make_spec: MakeSpec, changes: dict[str, Any], **speed: bool) -> JobSpec:
    cadence = {"iterations": 20, "log_every": 1, "sample_every": 10, "checkpoint_every": 10}
    return make_spec(**changes, **cadence, device="cuda", speed=speed)


@needs_cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("changes", RECORDED.values(), ids=RECORDED.keys())
def test_a_cuda_graph_trains_as_without_it_and_resumes_to_the_same_bytes(
    make_spec: MakeSpec, run_training: RunTraining, changes: dict[str, Any], precision: str
) -> None:
    changes = {**changes, "precision": precision}
    plain = run_training(on_cuda(make_spec, changes))
    spec = on_cuda(make_spec, changes, cuda_graphs=True)
    whole = run_training(spec)
    for (_, one), (_, other) in zip(plain.numbers(), whole.numbers(), strict=True):
        assert one == pytest.approx(other, abs=1e-4 if precision == "float32" else 1e-2)
    second = run_training(spec, resume_from=whole.out_dir / "checkpoints/00000010.safetensors")
    last = "checkpoints/00000020.safetensors"
    assert second.files()[last] == whole.files()[last]


@needs_cuda
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_networks_can_be_recorded_too(make_spec: MakeSpec, run_training: RunTraining) -> None:
    plain = run_training(on_cuda(make_spec, {}))
    both = run_training(on_cuda(make_spec, {}, cuda_graphs=True, compile=True))
    for (_, one), (_, other) in zip(plain.numbers(), both.numbers(), strict=True):
        assert one == pytest.approx(other, abs=1e-4)
