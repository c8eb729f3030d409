"""Bound D's slope by clipping its weights (Arjovsky et al., 2017, algorithm 1)."""

import torch
from torch import Tensor

from ganlib.spec.job import JobSpec
from ganlib.spec.sections.techniques import WeightClippingSpec
from ganlib.techniques.base import Networks, Technique


class WeightClipping(Technique):
    """Clip all of the discriminator's parameters, biases among them, after each of its updates."""

    def __init__(self, spec: WeightClippingSpec, job_spec: JobSpec) -> None:
        self._spec = spec

    @torch.no_grad()
    def after_discriminator_update(self, networks: Networks) -> None:
        """Clip to [-bound, bound]."""
        parameters: list[Tensor] = list(networks.discriminator.parameters())
        torch._foreach_clamp_min_(parameters, -self._spec.bound)
        torch._foreach_clamp_max_(parameters, self._spec.bound)
