"""Blur the difference between real and fake images by noise that fades (Sønderby et al., 2017, section 3.1)."""

import torch
from torch import Tensor, nn

from ganlib.networks.simple import Before
from ganlib.runtime.batch_sharding import own_items, whole_like
from ganlib.spec.job import JobSpec
from ganlib.spec.sections.techniques import InstanceNoiseSpec
from ganlib.techniques.base import Networks, Technique


class FadingNoise(nn.Module):
    """Add noise from N(0, std²); std is a buffer, so that it changes without a word to the device and is saved."""

    std: Tensor

    def __init__(self, std: float) -> None:
        super().__init__()
        self.register_buffer("std", torch.tensor(std))

    def forward(self, images: Tensor) -> Tensor:
        """Return the same shape."""
        return images + self.std.to(images.dtype) * own_items(torch.randn_like(whole_like(images)))


class InstanceNoise(Technique):
    """Noise on every image that D sees in either player's update: std · max(0, 1 − (iteration − 1)/until)."""

    def __init__(self, spec: InstanceNoiseSpec, job_spec: JobSpec) -> None:
        self._spec = spec
        self._noise = FadingNoise(spec.std)

    def wrap_discriminator(self, discriminator: nn.Module) -> nn.Module:
        """Return the discriminator behind the noise."""
        return Before(self._noise, discriminator)

    def after_iteration(self, networks: Networks, iteration: int) -> None:
        """Set the deviation of the next iteration."""
        self._noise.std.fill_(self._spec.std * max(0.0, 1 - iteration / self._spec.until))
