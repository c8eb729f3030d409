"""Optimisers and learning rates, step by step against numbers worked out by hand."""

import typing
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from ganlib.spec.job import JobSpec
from ganlib.spec.sections.optimisers import AdamSpec, OptimiserSpec, RmspropSpec, ScheduleSpec, SgdSpec
from ganlib.training.optimisers import OPTIMISERS, SCHEDULES, build_optimiser, learning_rate_at
from ganlib.training.state import build_state
from ganlib.training.step import train_step

MakeSpec = Callable[..., JobSpec]


def weights_after(spec: OptimiserSpec, start: float, *gradients: float) -> list[float]:
    """Return the only weight's value after each of the steps with these gradients."""
    weights = nn.Parameter(torch.tensor([start]))
    optimiser = build_optimiser(spec, [weights])
    values = []
    for gradient in gradients:
        weights.grad = torch.tensor([gradient])
        optimiser.step()
        values.append(weights.item())
    return values


def test_adams_first_step_is_the_learning_rate_against_the_gradients_sign() -> None:
    assert weights_after(AdamSpec(learning_rate=0.1), 1.0, 3.0) == pytest.approx([0.9], abs=1e-6)
    assert weights_after(AdamSpec(learning_rate=0.1), -1.0, -0.5) == pytest.approx([-0.9], abs=1e-6)


def test_sgd_steps_along_the_gradient() -> None:
    # 1 - 0.1·2 = 0.8, 0.8 - 0.1·(-4) = 1.2
    assert weights_after(SgdSpec(learning_rate=0.1), 1.0, 2.0, -4.0) == pytest.approx([0.8, 1.2], rel=1e-6)


def test_momentum_keeps_half_of_the_step_before() -> None:
    # v = 2, then 0.5·2 + 1 = 2: 1 - 0.1·2 = 0.8, 0.8 - 0.1·2 = 0.6 (without momentum 0.7)
    spec = SgdSpec(learning_rate=0.1, momentum=0.5)
    assert weights_after(spec, 1.0, 2.0, 1.0) == pytest.approx([0.8, 0.6], rel=1e-6)


def test_rmsprop_divides_by_the_root_of_the_mean_square() -> None:
    # square = 0.25·4² = 4: 1 - 0.1·4/2 = 0.8; then 0.75·4 + 0.25·2² = 4: 0.8 - 0.1·2/2 = 0.7
    spec = RmspropSpec(learning_rate=0.1, alpha=0.75)
    assert weights_after(spec, 1.0, 4.0, 2.0) == pytest.approx([0.8, 0.7], rel=1e-6)
    # With epsilon 2 the first step is 0.1·4/(2 + 2).
    assert weights_after(RmspropSpec(learning_rate=0.1, alpha=0.75, epsilon=2), 1.0, 4.0) == pytest.approx([0.9])


def test_rmsprops_momentum_adds_to_the_scaled_gradient() -> None:
    # v = 4/2 = 2, then 0.5·2 + 2/2 = 2: 1 - 0.2 = 0.8, 0.8 - 0.2 = 0.6
    spec = RmspropSpec(learning_rate=0.1, alpha=0.75, momentum=0.5)
    assert weights_after(spec, 1.0, 4.0, 2.0) == pytest.approx([0.8, 0.6], rel=1e-6)


def test_a_constant_learning_rate_stays() -> None:
    assert {learning_rate_at(SgdSpec(learning_rate=0.3), iteration) for iteration in (1, 500, 10**7)} == {0.3}


@pytest.mark.parametrize(
    ("iteration", "rate"), [(1, 0.4), (800, 0.4), (900, 0.3), (1000, 0.2), (1200, 0.0), (5000, 0.0)]
)
def test_a_linear_schedule_falls_to_nothing_between_two_iterations(iteration: int, rate: float) -> None:
    schedule: Any = {"kind": "linear", "from_iteration": 800, "to_iteration": 1200}
    spec = SgdSpec(learning_rate=0.4, schedule=schedule)
    assert learning_rate_at(spec, iteration) == pytest.approx(rate, abs=1e-12)


def test_a_linear_schedule_may_end_at_any_factor() -> None:
    schedule: Any = {"kind": "linear", "to_iteration": 10, "factor": 3}
    spec = AdamSpec(learning_rate=0.1, schedule=schedule)
    assert [learning_rate_at(spec, iteration) for iteration in (0, 5, 10, 11)] == pytest.approx(
        [0.1, 0.2, 0.3, 0.3]
    )


def test_each_player_steps_at_the_rate_of_the_iteration(make_spec: MakeSpec) -> None:
    schedule = {"kind": "linear", "from_iteration": 1, "to_iteration": 2}
    sgd = {"kind": "sgd", "learning_rate": 0.1}
    spec = make_spec(optimisers={"generator": {**sgd, "schedule": schedule}, "discriminator": sgd})
    state = build_state(spec, torch.device("cpu"))
    train_step(state)
    before = [copies(state.networks.generator), copies(state.networks.discriminator)]
    train_step(state)
    after = [copies(state.networks.generator), copies(state.networks.discriminator)]
    assert all(torch.equal(*pair) for pair in zip(before[0], after[0], strict=True))
    assert not all(torch.equal(*pair) for pair in zip(before[1], after[1], strict=True))


def copies(network: nn.Module) -> list[torch.Tensor]:
    return [weights.detach().clone() for weights in network.parameters()]


def test_every_kind_of_the_spec_has_its_function() -> None:
    for union, functions in ((OptimiserSpec, OPTIMISERS), (ScheduleSpec, SCHEDULES)):
        kinds = {kind.model_fields["kind"].default for kind in typing.get_args(typing.get_args(union)[0])}
        assert kinds == functions.keys()
