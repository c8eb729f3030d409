"""Draw fake images for one update."""

from dataclasses import dataclass

from torch import Tensor

from ganlib.randomness import draw_labels, draw_latents
from ganlib.shares import own_items
from ganlib.state import TrainingState


@dataclass(frozen=True)
class Fakes:
    """Latents (N, L), labels int64 (N,) where a conditional generator got some, and images (N, C, H, W)."""

    latents: Tensor
    labels: Tensor | None
    images: Tensor


def draw_fakes(state: TrainingState) -> Fakes:
    """Draw latents, and labels where the generator takes them, and make one batch of images."""
    spec = state.spec
    latents = own_items(draw_latents(spec.latents, spec.batch_size, state.latents_generator))
    labels = None
    if state.fixed_labels is not None:
        labels = own_items(draw_labels(spec.dataset.class_count, spec.batch_size, state.latents_generator))
    return Fakes(latents, labels, state.networks.generate(latents, labels))
