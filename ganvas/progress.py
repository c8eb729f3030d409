"""A job's progress in the terminal, and the short forms of its numbers."""

import json
import os
import re
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any

from tqdm import tqdm

from api.client.client import Client
from api.events.findings.schemas import FindingAdvised, FindingFacts
from api.jobs.schemas import JobRead, JobSummary
from ganlib.evaluation.diagnosis.verdict import SEVERITY_RANKS, Finding, describe
from ganlib.events import Severity
from ganlib.runtime.terminal import strip_controls
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS

BAR_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
# Without a terminal a line is printed at most so many times in a run, and at each new state.
PLAIN_LINES = 20
WIDTH = 96
_PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z_-]*")


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
        # An own run may have no planned end.
        now = (state, iteration * PLAIN_LINES // self._iterations if self._iterations else 0)
        if now != self._shown:
            self._shown = now
            end = f" of {self._iterations:,}" if self._iterations else ""
            self.say(f"{state}, iteration {iteration:,}{end}  {losses}".rstrip())

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
            total=iterations or None,
            initial=iteration,
            unit="it",
            desc=state,
            dynamic_ncols=True,
            bar_format=BAR_FORMAT if iterations else None,
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


class FaultFound(Exception):
    """A fault as bad as `--fail-on` names was found in a job that is followed; `finding` is it."""

    def __init__(self, finding: FindingFacts) -> None:
        self.finding = finding
        super().__init__(say_finding(finding))


def follow_job(client: Client, job_id: str, *, show_bar: bool = True, fail_on: Severity | None = None) -> JobRead:
    """Wait until the job ends, with a progress bar, and faults as they are found; returns the job.

    fail_on: raise FaultFound at the first fault that lasts and is as bad or worse.
    """
    job = client.get(job_id)
    bar = open_progress(job.iterations, job.iteration) if show_bar else None
    said = {""}

    def show(newest: JobSummary) -> None:
        if bar is None:
            return
        why = say_waiting(newest)
        if why not in said:
            said.add(why)
            bar.say(why)
        bar.update(newest.state, newest.iteration, human_losses(newest))

    def tell(finding: FindingFacts) -> None:
        if fail_on is not None and finding.ended is None and is_as_bad(finding.severity, fail_on):
            raise FaultFound(finding)
        if bar is not None:
            bar.say(say_finding(finding))

    try:
        return client.wait(job.id, on_update=show, on_finding=tell)
    finally:
        if bar is not None:
            bar.close()


def is_as_bad(severity: Severity, as_bad_as: Severity) -> bool:
    """Return whether a severity is this one or a worse one."""
    return SEVERITY_RANKS[severity] >= SEVERITY_RANKS[as_bad_as]


def say_finding(finding: Finding) -> str:
    """Return a finding in one line: `serious: Collapsed since iteration 1,200: 64 cells, 1 kind`."""
    label = finding.severity if finding.ended is None else "ended"
    return f"{label}: {strip_controls(describe(finding))}"


def render_finding(finding: FindingAdvised, first: int = 1) -> str:
    """Return a finding with what it means, by what it was judged, and what to try, as text.

    first: the number of its first advice, by which `ganvas findings --try` takes it.
    """
    lines = [say_finding(finding), *_wrap("", finding.meaning)]
    evidence = ", ".join(f"{name} {value:.4g}" for name, value in finding.evidence.items())
    lines += _wrap("evidence", evidence)
    if finding.rolled_back_to is not None:
        changed = " ".join(write_settings(finding.changes))
        lines += _wrap("done", f"back to iteration {finding.rolled_back_to:,}{changed and f', with {changed}'}")
    elif finding.action == "stop":
        lines += _wrap("done", "the spec says to stop the run")
    for number, advice in enumerate(finding.advice, first):
        lines += _wrap(f"try {number}", f"{advice.title}. {advice.text} ({advice.source})")
        for words in advice.words or write_settings(advice.changes):
            lines += _wrap("", words, indent=14)
    return "\n".join(lines)


def write_settings(changes: Mapping[str, Any]) -> list[str]:
    """Return changes of a spec as arguments for a shell: `--set optimisers.generator.learning_rate=0.0001`."""
    return [f"--set {shlex.quote(f'{path}={_write_value(value)}')}" for path, value in changes.items()]


def _write_value(value: Any) -> str:
    # JSON is YAML; a plain word needs no quotes.
    if isinstance(value, str) and _PLAIN_WORD.fullmatch(value) and value not in ("true", "false", "null"):
        return value
    return json.dumps(value)


def render_findings(findings: Sequence[FindingAdvised], shown: Collection[FindingAdvised], run: str) -> list[str]:
    """Return the findings of one run that are shown; advice is numbered through all of them, so numbers stay."""
    texts, number = [], 1
    for finding in findings:
        if finding in shown:
            texts.append(render_finding(finding, number))
        number += len(finding.advice)
    if any(finding.advice for finding in shown):
        texts.append(f"To run it again with one of these: ganvas findings {shlex.quote(run)} --try 1")
    return texts


def _wrap(label: str, text: str, indent: int = 4) -> list[str]:
    lead = f"    {label:<10}" if label else " " * indent
    return wrap(strip_controls(text), WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead))


def say_waiting(job: JobSummary) -> str:
    """Return why a queued job waits, empty for any other; a whole job says more than a summary."""
    if isinstance(job, JobRead):
        return " ".join(job.waiting)
    return f"No worker takes this run: {job.obstacle}." if job.obstacle else ""


def human_progress(job: JobSummary, of: str = "/") -> str:
    """Return how far a job is: `5,400/20,000`, or `5,400` where no end is planned."""
    return f"{job.iteration:,}{of}{job.iterations:,}" if job.iterations else f"{job.iteration:,}"


def human_losses(job: JobSummary) -> str:
    """Return a job's newest losses: `G 1.234  D 0.567`, or those that an own run calls so."""
    values = {name: job.latest[name].value for name in choose_losses(job)}
    return short_losses(values) or "  ".join(
        f"{strip_controls(name)} {value:.3g}" for name, value in values.items() if "loss" in name.lower()
    )


def choose_losses(job: JobSummary) -> list[str]:
    """Return the metrics to follow: both losses, or of an own run the first two that are called so, or any two."""
    usual = [name for name in (GENERATOR_LOSS.name, DISCRIMINATOR_LOSS.name) if name in job.latest]
    return usual or [name for name in sorted(job.latest) if "loss" in name.lower()][:2] or sorted(job.latest)[:2]


def short_losses(values: dict[str, float]) -> str:
    """Return both losses, as far as they are among these metrics: `G 1.234  D 0.567`."""
    shown = (("G", values.get(GENERATOR_LOSS.name)), ("D", values.get(DISCRIMINATOR_LOSS.name)))
    return "  ".join(f"{short} {value:.3f}" for short, value in shown if value is not None)


def human_time(moment: datetime) -> str:
    """Return this moment in the machine's time zone, with its distance from UTC: `2026-11-30 19:03:12+01:00`."""
    return moment.astimezone().isoformat(" ", "seconds")


def human_date(moment: datetime) -> str:
    """Return this moment by the machine's clock, as people write it: `30 Nov 2026, 19:03`."""
    local = moment.astimezone()
    return f"{local.day} {local:%b %Y, %H:%M}"


def human_duration(seconds: float) -> str:
    """Return a time span: `12 s`, `5 min`, `3 h`, `2 d`."""
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds / size)} {unit}"
    return f"{int(seconds / 86_400)} d"


def human_age(moment: datetime) -> str:
    """Return how long ago this was: `12 s`, `5 min`, `3 h`, `2 d`."""
    return human_duration(max(0.0, (datetime.now(UTC) - moment).total_seconds()))
