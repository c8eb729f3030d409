"""Keep D's slope at real images low (R1 of Mescheder et al., 2018, equation 9)."""

from torch import Tensor

from ganlib.spec.job import JobSpec
from ganlib.spec.sections.techniques import R1Spec
from ganlib.techniques.base import Networks, StepBatch, Technique
from ganlib.techniques.gradient_penalty import slopes_of


class R1(Technique):
    """Add gamma/2 · mean ‖∇D(x)‖² over the real images in every n-th iteration, there n times as strong."""

    def __init__(self, spec: R1Spec, job_spec: JobSpec) -> None:
        self._spec = spec

    def discriminator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor | None:
        """Return the penalty, or None between the iterations in which it is due."""
        if batch.iteration % self._spec.every:
            return None
        slopes = slopes_of(lambda points: networks.realness(points, batch.real_labels), batch.real_images)
        squares = slopes.square().sum(dim=1)
        return self._spec.gamma / 2 * self._spec.every * squares.mean()
