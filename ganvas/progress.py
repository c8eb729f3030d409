"""A job's progress in the terminal, and the short forms of its numbers."""

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from tqdm import tqdm

from api.client.client import Client
from api.jobs.schemas import JobRead, JobSummary
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS

BAR_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
# Without a terminal a line is printed at most so many times in a run, and at each new state.
PLAIN_LINES = 20


def open_progress(iterations: int, iteration: int = 0, state: str = "queued") -> "ProgressBar | ProgressLines":
    """Return a bar where a person watches a terminal, else lines without anything that steers one."""
    is_watched = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return ProgressBar(iterations, iteration, state) if is_watched else ProgressLines(iterations)


class ProgressLines:
    """Progress as whole lines, as in a file or a cluster's log; a reader that is gone disturbs nothing."""

    def __init__(self, iterations: int) -> None:
        self._iterations = iterations
        self._shown: tuple[str, int] | None = None

    def update(self, state: str, iteration: int, losses: str) -> None:
        """Print a line, if the state is a new one or another twentieth of the iterations has passed."""
        now = (state, iteration * PLAIN_LINES // self._iterations)
        if now != self._shown:
            self._shown = now
            self.say(f"{state}, iteration {iteration:,} of {self._iterations:,}  {losses}".rstrip())

    def say(self, text: str) -> None:
        """Print a line."""
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is open."""


class ProgressBar:
    """One line that shows state, iterations a second, both losses and the time left.

    A terminal that is gone disturbs nothing.
    """

    def __init__(self, iterations: int, iteration: int = 0, state: str = "queued") -> None:
        self._bar: Any = tqdm(
            total=iterations,
            initial=iteration,
            unit="it",
            desc=state,
            dynamic_ncols=True,
            bar_format=BAR_FORMAT,
        )

    def update(self, state: str, iteration: int, losses: str) -> None:
        """Move to this iteration; it may be earlier, when a job went back to its checkpoint."""
        with suppress(OSError):
            if iteration < self._bar.n:
                self._bar.reset(total=self._bar.total)
                self._bar.initial = self._bar.n = iteration
            self._bar.set_description_str(state, refresh=False)
            self._bar.set_postfix_str(losses, refresh=False)
            self._bar.update(iteration - self._bar.n)
            self._bar.refresh()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        with suppress(OSError):
            self._bar.write(text, file=sys.stderr)

    def close(self) -> None:
        """Close the bar; its last line stays."""
        with suppress(OSError):
            self._bar.close()


def follow_job(client: Client, job_id: str, *, show_bar: bool = True) -> JobRead:
    """Wait until the job ends, with a progress bar; returns the job."""
    job = client.get(job_id)
    if not show_bar:
        return client.wait(job_id)
    bar = open_progress(job.iterations, job.iteration)
    said = {""}

    def show(newest: JobSummary) -> None:
        why = say_waiting(newest)
        if why not in said:
            said.add(why)
            bar.say(why)
        bar.update(newest.state, newest.iteration, human_losses(newest))

    try:
        return client.wait(job.id, on_update=show)
    finally:
        bar.close()


def say_waiting(job: JobSummary) -> str:
    """Return why a queued job waits, empty for any other; a whole job says more than a summary."""
    if isinstance(job, JobRead):
        return " ".join(job.waiting)
    return f"No worker takes this run: {job.obstacle}." if job.obstacle else ""


def human_losses(job: JobSummary) -> str:
    """Return a job's newest losses: `G 1.234  D 0.567`."""
    return short_losses({name: metric.value for name, metric in job.latest.items()})


def short_losses(values: dict[str, float]) -> str:
    """Return both losses, as far as they are among these metrics: `G 1.234  D 0.567`."""
    shown = (("G", values.get(GENERATOR_LOSS.name)), ("D", values.get(DISCRIMINATOR_LOSS.name)))
    return "  ".join(f"{short} {value:.3f}" for short, value in shown if value is not None)


def human_time(moment: datetime) -> str:
    """Return this moment in the machine's time zone, with its distance from UTC: `2026-11-30 19:03:12+01:00`."""
    return moment.astimezone().isoformat(" ", "seconds")


def human_duration(seconds: float) -> str:
    """Return a time span: `12 s`, `5 min`, `3 h`, `2 d`."""
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds / size)} {unit}"
    return f"{int(seconds / 86_400)} d"


def human_age(moment: datetime) -> str:
    """Return how long ago this was: `12 s`, `5 min`, `3 h`, `2 d`."""
    return human_duration(max(0.0, (datetime.now(UTC) - moment).total_seconds()))
