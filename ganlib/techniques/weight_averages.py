"""Look at exponential moving averages of weights instead of the weights themselves (Yazıcı et al., 2019)."""

from abc import ABC, abstractmethod
from copy import deepcopy

import torch
from torch import Tensor, nn

from ganlib.spec.job import JobSpec
from ganlib.spec.sections.techniques import EmaDiscriminatorSpec, EmaGeneratorSpec
from ganlib.techniques.base import Networks, Technique


class WeightAverage(Technique, ABC):
    """Keep average ← decay · average + (1 - decay) · weights of one network; training itself never sees it.

    Before `start` the average is a copy of the weights. Batch norm's running statistics are averaged like the
    weights, because they have to fit them.
    """

    _average: nn.Module

    def __init__(self, spec: EmaGeneratorSpec | EmaDiscriminatorSpec, job_spec: JobSpec) -> None:
        self._spec = spec

    @abstractmethod
    def averaged(self, networks: Networks) -> nn.Module:
        """Return the network whose weights are averaged."""

    def start(self, networks: Networks) -> None:
        """Begin with a copy of the network, in evaluation mode."""
        self._average = deepcopy(self.averaged(networks)).eval().requires_grad_(False)

    @torch.no_grad()
    def after_iteration(self, networks: Networks, iteration: int) -> None:
        """Move the average towards the weights."""
        weight = 1.0 if iteration <= self._spec.start else 1 - self._spec.decay
        averages, currents = self._average.state_dict(), self.averaged(networks).state_dict()
        names = [name for name, tensor in averages.items() if tensor.is_floating_point()]
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


class EmaDiscriminator(WeightAverage):
    """Measure classes with the discriminator's average (Salimans et al., 2016, their released code)."""

    def averaged(self, networks: Networks) -> nn.Module:
        """Return the discriminator."""
        return networks.discriminator

    def choose_classifier(self, discriminator: nn.Module) -> nn.Module:
        """Return the averaged discriminator."""
        return self._average
