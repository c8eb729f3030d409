"""Optimisers and learning rates by the kinds that a spec may give."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer, RMSprop

from ganlib.spec.sections.optimisers import (
    AdamSpec,
    ConstantSchedule,
    LinearSchedule,
    OptimiserSpec,
    RmspropSpec,
    SgdSpec,
)

Parameters = Sequence[nn.Parameter]


def build_optimiser(spec: OptimiserSpec, parameters: Parameters, recorded: bool = False) -> Optimizer:
    """Build the optimiser at the learning rate of the spec.

    recorded: whether its steps go into a CUDA graph, where numbers that change have to lie on the device.
    """
    optimiser = OPTIMISERS[spec.kind](spec, parameters, recorded)
    if recorded and spec.schedule.kind != "constant":
        for group in optimiser.param_groups:
            group["lr"] = torch.tensor(spec.learning_rate, device=parameters[0].device)
    return optimiser


def set_learning_rate(optimiser: Optimizer, spec: OptimiserSpec, iteration: int) -> None:
    """Give the optimiser the learning rate of this iteration; the first iteration is 1."""
    for group in optimiser.param_groups:
        rate = learning_rate_at(spec, iteration)
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def learning_rate_at(spec: OptimiserSpec, iteration: int) -> float:
    """Return the learning rate of an iteration, which depends on nothing else."""
    return spec.learning_rate * SCHEDULES[spec.schedule.kind](spec.schedule, iteration)


def _build_adam(spec: AdamSpec, parameters: Parameters, recorded: bool) -> Optimizer:
    # Fused: one pass over all weights instead of one for each.
    options = {"betas": spec.betas, "eps": spec.epsilon, "fused": True, "capturable": recorded}
    return Adam(parameters, lr=spec.learning_rate, **options)  # type: ignore[arg-type]


def _build_sgd(spec: SgdSpec, parameters: Parameters, recorded: bool) -> Optimizer:
    return SGD(parameters, lr=spec.learning_rate, momentum=spec.momentum, fused=True)


def _build_rmsprop(spec: RmspropSpec, parameters: Parameters, recorded: bool) -> Optimizer:
    options = {"alpha": spec.alpha, "eps": spec.epsilon, "momentum": spec.momentum, "capturable": recorded}
    return RMSprop(parameters, lr=spec.learning_rate, **options)  # type: ignore[arg-type]


def _stay_constant(spec: ConstantSchedule, iteration: int) -> float:
    return 1.0


def _follow_line(spec: LinearSchedule, iteration: int) -> float:
    done = (iteration - spec.from_iteration) / (spec.to_iteration - spec.from_iteration)
    return 1 + (spec.factor - 1) * min(max(done, 0.0), 1.0)


OPTIMISERS: dict[str, Callable[[Any, Parameters, bool], Optimizer]] = {
    "adam": _build_adam,
    "sgd": _build_sgd,
    "rmsprop": _build_rmsprop,
}

# Each gives the factor of the learning rate at an iteration.
SCHEDULES: dict[str, Callable[[Any, int], float]] = {
    "constant": _stay_constant,
    "linear": _follow_line,
}
