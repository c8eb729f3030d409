"""Draw samples from a moving average of the generator's weights (Yazıcı et al., 2019)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ganlib.spec.fields import Float, Natural
from ganlib.techniques.base import OtherSections, Technique, TechniqueSection

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ganlib.networks.players import Networks


class EmaGeneratorSpec(TechniqueSection):
    """Draw samples from an exponential moving average of the generator's weights.

    average ← decay · average + (1 − decay) · weights after each iteration, from iteration `start` on.
    """

    draws_samples: ClassVar[bool] = True
    position: ClassVar[int] = 1

    technique: Literal["ema_generator"] = "ema_generator"
    decay: Annotated[Float, Field(ge=0, lt=1)] = 0.999
    start: Natural = 0

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return EmaGenerator(self.decay, self.start)


class WeightAverage(Technique, ABC):
    """Keep average ← decay · average + (1 - decay) · weights of one network; training itself never sees it.

    Before `start` the average is a copy of the weights. Batch norm's running statistics are averaged like the
    weights, because they have to fit them.
    """

    _average: nn.Module

    def __init__(self, decay: float, start: int = 0) -> None:
        self._decay = decay
        self._start = start

    @abstractmethod
    def averaged(self, networks: Networks) -> nn.Module:
        """Return the network whose weights are averaged."""

    def start(self, networks: Networks) -> None:
        """Begin with a copy of the network, in evaluation mode."""
        self._average = deepcopy(self.averaged(networks)).eval().requires_grad_(False)

    def after_iteration(self, networks: Networks, iteration: int) -> None:
        """Move the average towards the weights."""
        import torch

        weight = 1.0 if iteration <= self._start else 1 - self._decay
        averages, currents = self._average.state_dict(), self.averaged(networks).state_dict()
        names = [name for name, tensor in averages.items() if tensor.is_floating_point()]
        with torch.no_grad():
            torch._foreach_lerp_([averages[name] for name in names], [currents[name] for name in names], weight)
            for name in averages.keys() - set(names):
                averages[name].copy_(currents[name])

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averaged weights and statistics."""
        return dict(self._average.state_dict())

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Take the averages back."""
        self._average.load_state_dict(tensors)


class EmaGenerator(WeightAverage):
    """Draw samples from the generator's average."""

    def averaged(self, networks: Networks) -> nn.Module:
        """Return the generator."""
        return networks.generator

    def choose_sampler(self, generator: nn.Module) -> nn.Module:
        """Return the averaged generator."""
        return self._average
