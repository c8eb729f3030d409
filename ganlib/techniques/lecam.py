"""Pull logits to moving averages of the other kind's (Tseng et al., 2021, equations 5 and 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ganlib.errors import Problem
from ganlib.spec.fields import Float, Natural, Positive
from ganlib.techniques.base import OtherSections, StepBatch, Technique, TechniqueSection

if TYPE_CHECKING:
    from torch import Tensor

    from ganlib.networks.players import Networks


class LecamSpec(TechniqueSection):
    """Keep logits of real and of generated images near to each other's past means (Tseng et al., 2021).

    Adds weight · (mean (D(x) − a_F)² + mean (D(G(z)) − a_R)²) to the discriminator's loss, from iteration
    `start` + 1 on. a_R and a_F are exponential moving averages of D's mean logit of real and of generated images.
    one_sided: only logits above a_F, or below a_R, count, as in the authors' code.
    """

    adds_to_discriminator_loss: ClassVar[bool] = True
    position: ClassVar[int] = 5

    technique: Literal["lecam"] = "lecam"
    weight: Positive = 0.3
    decay: Annotated[Float, Field(ge=0, lt=1)] = 0.99
    start: Natural = 1000
    one_sided: bool = False

    def find_problem(self, field: str, spec: OtherSections) -> Problem | None:
        """Refuse a discriminator without one logit."""
        if spec.losses.facts.takes_categories:
            message = f"lecam averages one logit of each image, and {spec.losses.discriminator} has none"
            return Problem(field, "", message)
        return None

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return Lecam(self)


class Lecam(Technique):
    """Add the weighted squares of logits' distances from averages; nothing until `start`.

    Until then the averages are the last batch's means, and later a ← decay · a + (1 − decay) · mean, the batch's
    own mean among them, as in the authors' code.
    """

    _averages: Tensor
    _momentum: Tensor
    _weight: Tensor

    def __init__(self, section: LecamSpec) -> None:
        self._section = section

    def start(self, networks: Networks) -> None:
        """Begin without averages: the first batch's means take their place."""
        import torch

        device = next(networks.discriminator.parameters()).device
        # Numbers on the device, because a recorded step takes nothing else from one iteration to the next.
        self._averages, self._momentum, self._weight = (
            torch.zeros(size, device=device) for size in ((2,), (), ())
        )
        self._begin_after(0)

    def _begin_after(self, iteration: int) -> None:
        """Set what the next iteration is to do."""
        is_due = iteration >= self._section.start
        # The first of all batches has no past to be averaged with.
        self._momentum.fill_(self._section.decay if is_due and iteration else 0.0)
        self._weight.fill_(self._section.weight if is_due else 0.0)

    def discriminator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor | None:
        """Move the averages and return the penalty, or None where there are no logits of real images."""
        import torch

        from ganlib.runtime.batch_sharding import batch_mean

        if batch.real_logits is None:
            return None
        with torch.no_grad():
            means = batch_mean(torch.stack([batch.real_logits, batch.fake_logits], dim=1))
            self._averages.copy_(torch.lerp(means, self._averages, self._momentum))
        real_average, fake_average = self._averages.clone().unbind()
        above, below = batch.real_logits - fake_average, real_average - batch.fake_logits
        if self._section.one_sided:
            above, below = above.relu(), below.relu()
        return self._weight.clone() * (above.square().mean() + below.square().mean())

    def after_iteration(self, networks: Networks, iteration: int) -> None:
        """Let the penalty begin when it is due."""
        self._begin_after(iteration)

    def state_dict(self) -> dict[str, Tensor]:
        """Return both averages, and what the next iteration does with them."""
        return {"averages": self._averages, "momentum": self._momentum, "weight": self._weight}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        for name, tensor in self.state_dict().items():
            tensor.copy_(tensors[name])
