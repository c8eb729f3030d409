"""Is it learning, is it healthy: a word and a sentence from the newest losses. The pictures decide."""

import math
from dataclasses import dataclass

from api.schemas import JobRead
from dashboard.formats import show_percent
from dashboard.views.common import DISCRIMINATOR_LOSS, GENERATOR_LOSS, latest_value

# The discriminator's loss is -log D(x) - log(1 - D(G(z))). Where it cannot tell, D = 1/2, this is 2 ln 2 = 1.386.
# Below 0.1 it is right with more than 95 % certainty on both: its gradient teaches the generator little.
SURE_BELOW = 0.1
# Above 1.6 it is wrong more often than a coin: it follows the generator no more.
LOST_ABOVE = 1.6
RECENT_POINTS = 20


@dataclass(frozen=True)
class Verdict:
    """A word and the sentence that explains it."""

    word: str
    text: str


def judge_learning(job: JobRead, discriminator_losses: list[float]) -> Verdict:
    """Judge the balance of the two players by the mean of the discriminator's newest losses.

    The bounds hold for the minimax loss alone; of other losses only the pictures tell.
    """
    if job.state in ("failed", "cancelled"):
        return Verdict(
            "Broken off", f"It ended at {show_percent(job.iteration / job.iterations)} of its iterations."
        )
    recent = [value for value in discriminator_losses[-RECENT_POINTS:] if math.isfinite(value)]
    if not recent:
        return Verdict("Not yet known", "No losses have arrived.")
    loss_name = job.spec.get("losses", {}).get("discriminator", "minimax")
    if loss_name != "minimax":
        return Verdict(
            "See the pictures", f"The {loss_name.replace('_', ' ')} loss has no fixed point to judge by."
        )
    mean = sum(recent) / len(recent)
    if mean < SURE_BELOW:
        return Verdict("One-sided", "The discriminator is nearly always right.")
    if mean > LOST_ABOVE:
        return Verdict("One-sided", "The discriminator is worse than a coin.")
    return Verdict("Balanced", "Neither player has won; see the pictures.")


def judge_health(job: JobRead, warning_count: int) -> Verdict:
    """Judge whether the run goes as it should."""
    by_state = {
        "queued": Verdict("Waiting", "No worker has claimed it yet."),
        "failed": Verdict("Failed", "The reason is at the top."),
        "cancelled": Verdict("Cancelled", "It was stopped on request."),
    }
    if job.state in by_state:
        return by_state[job.state]
    losses = (latest_value(job, GENERATOR_LOSS), latest_value(job, DISCRIMINATOR_LOSS))
    if any(loss is not None and not math.isfinite(loss) for loss in losses):
        return Verdict("Diverged", "A loss is no longer a finite number.")
    if job.state == "running" and job.cancel_requested_at:
        return Verdict("Stopping", "The worker was asked to stop.")
    notes = []
    if job.attempt > 1:
        notes.append(f"attempt {job.attempt}, resumed from its checkpoint")
    if warning_count:
        notes.append(f"{warning_count} warning{'s' if warning_count > 1 else ''} in the log")
    text = "; ".join(notes) or "Losses finite, no warnings."
    return Verdict("Steady", text[0].upper() + text[1:])
