"""A classifier whose first layers are those of a discriminator."""

from copy import deepcopy
from typing import Self

import torch
from torch import Tensor, nn

from ganlib.build import build_network
from ganlib.modules.first_batch import needs_first_batch, show_first_batch
from ganlib.modules.simple import Before
from ganlib.randomness import seed_layers
from ganlib.sections.networks import NetworkSpec
from ganlib.sections.transfer import TransferSpec
from ganlib.shapes import output_shape
from ganlib.state import TrainingState, build_networks, show_first_batches


class TransferClassifier(nn.Module):
    """Kept layers and a head: images (N, C, H, W) in [-1, 1] → class logits (N, K).

    Frozen, the kept layers do not learn and compute as in evaluation, whatever the mode.
    """

    def __init__(self, kept: nn.Sequential, head: nn.Sequential, frozen: bool) -> None:
        super().__init__()
        self.kept = kept.requires_grad_(not frozen)
        self.head = head
        self.frozen = frozen
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K)."""
        logits: Tensor = self.head(self.kept(images))
        return logits

    def train(self, mode: bool = True) -> Self:
        """Change the mode, but not that of frozen layers."""
        super().train(mode)
        if self.frozen:
            self.kept.eval()
        return self


def copy_layers(discriminator: nn.Module, count: int) -> nn.Sequential:
    """Return copies of a discriminator's first layers, without what techniques put before it."""
    while isinstance(discriminator, Before):
        discriminator = discriminator.network
    return deepcopy(nn.Sequential(*list(discriminator.children())[:count]))


def build_first_layers(state: TrainingState, count: int) -> nn.Sequential:
    """Return the discriminator's first layers with the weights that they had before any training.

    Seeds torch's global generators.
    """
    networks = build_networks(state.spec, state.device, [])
    show_first_batches(state.spec, networks, state.data)
    return copy_layers(networks.discriminator, count)


def build_classifier(
    state: TrainingState, spec: TransferSpec, kept: nn.Sequential, first_batch: Tensor
) -> TransferClassifier:
    """Put a new head, the same for all classifiers of a run, on the kept layers, which become part of it.

    first_batch: images (N, C, H, W) for heads whose first values come from data. Seeds torch's global generators.
    """
    job, kept_specs = state.spec, state.spec.discriminator.layers[: spec.kept_layers]
    seed_layers(state.device, job.seed, "transfer head")
    head = build_network(
        NetworkSpec(layers=spec.head, init=job.discriminator.init), output_shape(kept_specs, job.dataset.shape)
    ).to(state.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if needs_first_batch(head):
        with torch.no_grad():
            show_first_batch(head, deepcopy(kept)(first_batch))
    return TransferClassifier(kept, head, spec.frozen)
