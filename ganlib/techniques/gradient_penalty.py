"""Bound D's slope by a penalty between real and fake images (Gulrajani et al., 2017, equation 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from ganlib.errors import Problem
from ganlib.spec.fields import Positive
from ganlib.spec.layers import MinibatchDiscrimination, Norm
from ganlib.techniques.base import OtherSections, StepBatch, Technique, TechniqueSection

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ganlib.networks.players import Networks


class GradientPenaltySpec(TechniqueSection):
    """Pull the norm of D's slope to 1 between real and fake images (Gulrajani et al., 2017).

    Adds weight · mean (‖∇D(x̂)‖ − 1)² to the discriminator's loss. Batch norm in the discriminator is refused.
    """

    adds_to_discriminator_loss: ClassVar[bool] = True
    position: ClassVar[int] = 4

    technique: Literal["gradient_penalty"] = "gradient_penalty"
    weight: Positive = 10

    def find_problem(self, field: str, spec: OtherSections) -> Problem | None:
        """Refuse discriminators without one logit that depends on its own image alone."""
        return find_slope_problem(self.technique, field, spec) or _find_batch_problem(spec)

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return GradientPenalty(self.weight, spec.seed)


class GradientPenalty(Technique):
    """Add weight · mean (‖∇D(x̂)‖ - 1)², x̂ = epsilon · real + (1 - epsilon) · fake, epsilon uniform in [0, 1)."""

    _generator: torch.Generator

    def __init__(self, weight: float, seed: int) -> None:
        self._weight = weight
        self._seed = seed

    def start(self, networks: Networks) -> None:
        """Begin the stream of epsilons on the networks' device."""
        from ganlib.runtime.random_streams import make_generator

        device = next(networks.discriminator.parameters()).device
        self._generator = make_generator(device, self._seed, "gradient penalty")

    def discriminator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor:
        """Return the penalty at one point between each real image and a fake one."""
        import torch

        from ganlib.runtime.batch_sharding import global_count, local_items

        real_images = batch.real_images.float()
        count, device = global_count(len(real_images)), self._generator.device
        epsilon = local_items(torch.rand(count, 1, 1, 1, generator=self._generator, device=device))
        between = torch.lerp(batch.fake_images.float(), real_images, epsilon)
        norms: Tensor = torch.linalg.vector_norm(
            # A conditional D is given the real image's class: there is no point between two classes.
            slopes_of(lambda points: networks.realness(points, batch.real_labels), between),
            dim=1,
        )
        return self._weight * (norms - 1).square().mean()

    def generators(self) -> list[torch.Generator]:
        """Return the stream of epsilons."""
        return [self._generator]

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state of the stream of epsilons."""
        return {"random": self._generator.get_state()}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Continue the stream from that state."""
        self._generator.set_state(tensors["random"])


def find_slope_problem(technique: str, field: str, spec: OtherSections) -> Problem | None:
    """Return a problem where the discriminator has no single logit whose slope could be bounded."""
    if spec.losses.facts.takes_categories:
        message = f"{technique} bounds the slope of one logit, and {spec.losses.discriminator} has none"
        return Problem(field, "", message)
    return None


def slopes_of(realness: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the gradients (N, features) of D's logits at images (N, C, H, W), ready to be differentiated again.

    realness: images → one logit for each, (N,) or (N, 1). In float32 at least, whatever the precision of the run:
    the gradient of a gradient loses too much in bfloat16. Only where each image's logit depends on that image
    alone are these the slopes of single logits.
    """
    import torch

    with torch.autocast(images.device.type, enabled=False):
        points = images.detach().to(torch.promote_types(images.dtype, torch.float32)).requires_grad_()
        logits = realness(points)
        (gradients,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    return gradients.flatten(1)


def _find_batch_problem(spec: OtherSections) -> Problem | None:
    """Return the first layer of the discriminator that mixes the images of a batch as a problem, or None."""
    for index, layer in enumerate(spec.discriminator.layers):
        batch_norm = isinstance(layer, Norm) and layer.kind != "virtual_batch"
        if batch_norm or isinstance(layer, MinibatchDiscrimination):
            return Problem(
                f"discriminator.layers.{index}",
                "",
                f"{'batch norm' if batch_norm else layer.layer} makes an image's logit depend on the whole batch, "
                "but gradient_penalty bounds the slope at each image (Gulrajani et al., 2017, section 4); remove "
                "the layer or the technique",
            )
    return None
