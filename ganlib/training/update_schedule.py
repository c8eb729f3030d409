"""Update schedules: the updates of each player in an iteration, and the batches of real images for them."""

from math import exp

import torch
from torch import Tensor

from ganlib.spec.job import JobSpec
from ganlib.spec.sections.optimisers import AdaptiveAdvantageSpec
from ganlib.vocabulary import DISCRIMINATOR_UPDATES, GENERATOR_UPDATES


class UpdateSchedule:
    """The same in each iteration: k updates of D (Goodfellow et al., 2014, algorithm 1), then those of G."""

    def __init__(self, discriminator_steps: int = 1, generator_steps: int = 1) -> None:
        self.discriminator_steps = discriminator_steps
        self.generator_steps = generator_steps

    def batches(self, iteration: int) -> range:
        """Return the numbers of the batches, one for each of D's updates; the first is 1."""
        return range((iteration - 1) * self.discriminator_steps + 1, iteration * self.discriminator_steps + 1)

    def end_iteration(self, iteration: int, discriminator_loss: Tensor, generator_loss: Tensor | None) -> None:
        """Observe an iteration's last adversarial losses; a classifier alone has no generator's."""

    def metrics(self) -> dict[str, float]:
        """Return the numbers to log, by name."""
        return {}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint must hold to resume exactly."""
        return {}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `state_dict` gave; raises KeyError when it does not fit."""


class AdaptiveSchedule(UpdateSchedule):
    """More updates for the player whose adversarial loss is larger, changed every few iterations.

    The losses are summed on the device and read from it only where a decision is due.
    """

    def __init__(self, spec: AdaptiveAdvantageSpec, device: torch.device) -> None:
        super().__init__()
        self._spec = spec
        self._lead = 0
        self._batches_seen = 0
        self._loss_sums = torch.zeros(2, device=device)

    def batches(self, iteration: int) -> range:
        """Return the numbers of the batches that come next, after those seen so far."""
        return range(self._batches_seen + 1, self._batches_seen + self.discriminator_steps + 1)

    def end_iteration(self, iteration: int, discriminator_loss: Tensor, generator_loss: Tensor | None) -> None:
        """Sum the losses, and change the updates where a decision is due."""
        self._batches_seen += self.discriminator_steps
        if generator_loss is None:
            return
        self._loss_sums += torch.stack([discriminator_loss, generator_loss])
        if iteration % self._spec.every == 0:
            self._decide(*self._loss_sums.tolist())
            self._loss_sums.zero_()

    def metrics(self) -> dict[str, float]:
        """Return the updates that each player makes from the next iteration on."""
        return {
            DISCRIMINATOR_UPDATES.name: self.discriminator_steps,
            GENERATOR_UPDATES.name: self.generator_steps,
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Return the lead, the batches seen, and the losses since the last decision."""
        return {"counts": torch.tensor([self._lead, self._batches_seen]), "loss_sums": self._loss_sums}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Continue from what `state_dict` gave."""
        lead, self._batches_seen = tensors["counts"].tolist()
        self._set_lead(lead)
        self._loss_sums.copy_(tensors["loss_sums"])

    def _decide(self, discriminator_loss: float, generator_loss: float) -> None:
        # Without logarithms, so that a loss of 0 is no special case.
        margin = exp(self._spec.tolerance)
        if generator_loss > margin * discriminator_loss:
            self._set_lead(min(self._lead + 1, self._spec.most - 1))
        elif discriminator_loss > margin * generator_loss:
            self._set_lead(max(self._lead - 1, 1 - self._spec.most))

    def _set_lead(self, lead: int) -> None:
        """Give the generator this many updates more than the discriminator; below 0, the other way round."""
        self._lead = lead
        self.generator_steps = 1 + max(lead, 0)
        self.discriminator_steps = 1 + max(-lead, 0)


def build_update_schedule(spec: JobSpec, device: torch.device) -> UpdateSchedule:
    """Build the schedule that the spec asks for."""
    if spec.adaptive_advantage is not None:
        return AdaptiveSchedule(spec.adaptive_advantage, device)
    return UpdateSchedule(spec.discriminator_steps, spec.generator_advantage)
