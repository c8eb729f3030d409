"""Winkler's final MNIST networks (2018, section 4.7.5) and their training, without a line of ganlib."""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import softplus

LATENTS = 96
BATCH = 64


def build_generator() -> nn.Module:
    return nn.Sequential(
        nn.Linear(LATENTS, 1024), nn.ReLU(), nn.BatchNorm1d(1024),
        nn.Linear(1024, 6272), nn.ReLU(), nn.BatchNorm1d(6272), nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), nn.BatchNorm2d(64),
        nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


def build_discriminator() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.LeakyReLU(0.2), nn.Conv2d(32, 32, 2, 2), nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 5), nn.LeakyReLU(0.2), nn.Conv2d(64, 64, 2, 2), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(1024, 1024), nn.LeakyReLU(0.2), nn.Linear(1024, 1),
    )  # fmt: skip


class WinklerByHand:
    """The training; `tuned` is with the options that ganlib takes, else as in a tutorial.

    images: uint8 (N, 1, 28, 28).
    """

    def __init__(self, images: torch.Tensor, tuned: bool, bfloat16: bool) -> None:
        torch.manual_seed(0)
        layout = torch.channels_last if tuned else torch.contiguous_format
        self.images, self.tuned, self.bfloat16 = images, tuned, bfloat16
        self.generator = build_generator().to(memory_format=layout)
        self.discriminator = build_discriminator().to(memory_format=layout)
        options: dict[str, Any] = {"lr": 1e-3, "betas": (0.5, 0.999), "fused": tuned}
        self.generator_optimiser = torch.optim.Adam(self.generator.parameters(), **options)
        self.discriminator_optimiser = torch.optim.Adam(self.discriminator.parameters(), **options)

    def step(self) -> None:
        """Update the discriminator, then the generator."""
        chosen = torch.randint(len(self.images), (BATCH,))
        real = self.images[chosen].float() / 127.5 - 1
        with self._autocast():
            with torch.no_grad():
                fake = self.generator(torch.rand(BATCH, LATENTS) * 2 - 1)
            if self.tuned:
                real_logits, fake_logits = self.discriminator(torch.cat([real, fake.float()])).float().chunk(2)
            else:
                real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
            loss = softplus(-real_logits).mean() + softplus(fake_logits).mean()
        self.discriminator_optimiser.zero_grad()
        loss.backward()
        self.discriminator_optimiser.step()
        self.discriminator.requires_grad_(not self.tuned)
        with self._autocast():
            fake_logits = self.discriminator(self.generator(torch.rand(BATCH, LATENTS) * 2 - 1))
            loss = softplus(-fake_logits.float()).mean()
        self.generator_optimiser.zero_grad()
        loss.backward()
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bfloat16)
