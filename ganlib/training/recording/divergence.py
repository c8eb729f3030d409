"""Finds the first iteration whose numbers are not finite, and the player that broke, off the training thread.

The training thread only keeps what each iteration has computed anyway. An iteration updates the discriminator
first, and its loss comes before the update: so a generator's loss that is not finite where the discriminator's
still is shows that the discriminator's update broke it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlib.errors import TrainingDiverged
from ganlib.training.checkpoint import find_broken_tensors
from ganlib.training.state import StepResult
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS

MOST_WAITING = 256
_PLAYERS = ("generator", "discriminator")


@dataclass(frozen=True)
class Break:
    """What broke first, the iteration, and the player if it is known; `evidence` begins a sentence."""

    iteration: int
    player: str
    evidence: str

    def error(self, advice: str) -> TrainingDiverged:
        """Return the error that ends the run."""
        who = f", and the {self.player} broke first" if self.player else ""
        return TrainingDiverged(
            f"{self.evidence} at iteration {self.iteration:,}: training has diverged{who}. {advice}",
            self.iteration,
            self.player,
        )


class DivergenceWatch:
    """Keeps each iteration's numbers, on their device, until they are taken to be checked."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, StepResult]] = []

    def observe(self, iteration: int, step: StepResult) -> bool:
        """Keep one iteration's numbers; return whether so many wait that they should be checked now."""
        self._waiting.append((iteration, step))
        return len(self._waiting) >= MOST_WAITING

    def take(self) -> list[tuple[int, StepResult]]:
        """Return what waits, oldest first, and forget it."""
        taken, self._waiting = self._waiting, []
        return taken


def find_break(observed: Sequence[tuple[int, StepResult]]) -> Break | None:
    """Return the first iteration with a loss that is not finite, or None; waits for the device."""
    # A run has either both players' losses in each iteration, or no generator's at all.
    losses = [loss for _, step in observed for loss in _losses_of(step).values()]
    if not losses or bool(torch.stack([loss.float() for loss in losses]).isfinite().all()):
        return None
    for iteration, step in observed:
        for name, loss in _losses_of(step).items():
            value = float(loss)
            if not math.isfinite(value):
                return Break(iteration, _blame(name, step), f"{name} is {value}")
    return None


def find_broken_state(iteration: int, tensors: dict[str, Tensor]) -> Break | None:
    """Return the first tensors of a run's state, as a checkpoint names them, that are not finite, or None."""
    broken = find_broken_tensors(tensors)
    if not broken:
        return None
    players = [
        player
        for player in _PLAYERS
        if any(name.startswith((f"{player}.", f"optimiser.{player}.")) for name in broken)
    ]
    more = f" and {len(broken) - 1} more of its state are" if len(broken) > 1 else " is"
    return Break(iteration, players[0] if len(players) == 1 else "", f"{broken[0]}{more} not finite")


def _losses_of(step: StepResult) -> dict[str, Tensor]:
    """Return the losses in the order in which an iteration computes them."""
    losses = {DISCRIMINATOR_LOSS.name: step.discriminator_loss}
    return losses if step.generator_loss is None else {**losses, GENERATOR_LOSS.name: step.generator_loss}


def _blame(name: str, step: StepResult) -> str:
    """Return the player whose numbers made this loss no number."""
    if name == GENERATOR_LOSS.name:
        adversarial = step.generator_adversarial_loss
        # What is only added to the generator's loss is of its own weights, or of its images.
        return "generator" if adversarial is not None and _is_finite(adversarial) else "discriminator"
    tells_real, tells_fake = (
        logits is None or _is_finite(logits) for logits in (step.real_logits, step.fake_logits)
    )
    return "generator" if tells_real and not tells_fake else "discriminator"


def _is_finite(numbers: Tensor) -> bool:
    return bool(numbers.isfinite().all())
