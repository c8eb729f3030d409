"""Sample from an exponential moving average of the generator's weights (Yazıcı et al., 2019)."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from ganlib.sections.techniques import EmaGeneratorSpec
from ganlib.spec import JobSpec
from ganlib.techniques.base import Networks, Technique


class EmaGenerator(Technique):
    """Keep average ← decay · average + (1 - decay) · weights and draw samples from the average.

    Before `start` the average is a copy of the weights. Batch norm's running statistics are averaged like the
    weights, because they have to fit them.
    """

    _average: nn.Module

    def __init__(self, spec: EmaGeneratorSpec, job_spec: JobSpec) -> None:
        self._spec = spec

    def start(self, networks: Networks) -> None:
        """Begin with a copy of the generator, in evaluation mode."""
        self._average = deepcopy(networks.generator).eval().requires_grad_(False)

    @torch.no_grad()
    def after_iteration(self, networks: Networks, iteration: int) -> None:
        """Move the average towards the weights."""
        weight = 1.0 if iteration <= self._spec.start else 1 - self._spec.decay
        averages, currents = self._average.state_dict(), networks.generator.state_dict()
        names = [name for name, tensor in averages.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([averages[name] for name in names], [currents[name] for name in names], weight)
        for name in averages.keys() - set(names):
            averages[name].copy_(currents[name])

    def choose_sampler(self, generator: nn.Module) -> nn.Module:
        """Return the averaged generator."""
        return self._average

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averaged weights and statistics."""
        return dict(self._average.state_dict())

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Take the averages back."""
        self._average.load_state_dict(tensors)
