"""Bound D's slope by a penalty between real and fake images (Gulrajani et al., 2017, equation 3)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ganlib.runtime.batch_sharding import own_items, whole_count
from ganlib.runtime.random_streams import make_generator
from ganlib.spec.job import JobSpec
from ganlib.spec.sections.techniques import GradientPenaltySpec
from ganlib.techniques.base import Networks, StepBatch, Technique


def slopes_of(realness: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the gradients (N, features) of D's logits at images (N, C, H, W), ready to be differentiated again.

    realness: images → one logit for each, (N,) or (N, 1). In float32 at least, whatever the precision of the run:
    the gradient of a gradient loses too much in bfloat16. Only where D judges each image for itself are these the
    slopes of single logits.
    """
    with torch.autocast(images.device.type, enabled=False):
        points = images.detach().to(torch.promote_types(images.dtype, torch.float32)).requires_grad_()
        logits = realness(points)
        (gradients,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    return gradients.flatten(1)


class GradientPenalty(Technique):
    """Add weight · mean (‖∇D(x̂)‖ - 1)², x̂ = epsilon · real + (1 - epsilon) · fake, epsilon uniform in [0, 1)."""

    _generator: torch.Generator

    def __init__(self, spec: GradientPenaltySpec, job_spec: JobSpec) -> None:
        self._spec = spec
        self._seed = job_spec.seed

    def start(self, networks: Networks) -> None:
        """Begin the stream of epsilons on the networks' device."""
        device = next(networks.discriminator.parameters()).device
        self._generator = make_generator(device, self._seed, "gradient penalty")

    def discriminator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor:
        """Return the penalty at one point between each real image and a fake one."""
        real_images = batch.real_images.float()
        count, device = whole_count(len(real_images)), self._generator.device
        share = own_items(torch.rand(count, 1, 1, 1, generator=self._generator, device=device))
        between = torch.lerp(batch.fake_images.float(), real_images, share)
        norms: Tensor = torch.linalg.vector_norm(
            # A conditional D is asked for the real image's class: there is no point between two classes.
            slopes_of(lambda points: networks.realness(points, batch.real_labels), between),
            dim=1,
        )
        return self._spec.weight * (norms - 1).square().mean()

    def generators(self) -> list[torch.Generator]:
        """Return the stream of epsilons."""
        return [self._generator]

    def state_dict(self) -> dict[str, Tensor]:
        """Return where the stream of epsilons has come to."""
        return {"random": self._generator.get_state()}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Go on there."""
        self._generator.set_state(tensors["random"])
