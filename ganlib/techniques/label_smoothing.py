"""One-sided label smoothing (Salimans et al., 2016, section 3.4)."""

from torch import Tensor

from ganlib.losses import DiscriminatorLoss
from ganlib.spec.job import JobSpec
from ganlib.spec.sections.techniques import LabelSmoothingSpec
from ganlib.techniques.base import Technique


class LabelSmoothing(Technique):
    """Let D aim at `real_target` instead of 1 for real images; the target of fakes stays 0 (beta = 0).

    With alpha for the target, cross-entropy for a real logit is alpha · softplus(-logit) + (1 - alpha) ·
    softplus(logit). As softplus(logit) = softplus(-logit) + logit, that is minimax plus (1 - alpha) · logit.
    """

    def __init__(self, spec: LabelSmoothingSpec, job_spec: JobSpec) -> None:
        self._spec = spec

    def choose_discriminator_loss(self, loss: DiscriminatorLoss) -> DiscriminatorLoss:
        """Return the minimax loss with the other target."""

        def smoothed(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
            return loss(real_logits, fake_logits) + (1 - self._spec.real_target) * real_logits.mean()

        return smoothed
