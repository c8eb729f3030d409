"""`ganvas watch`: follows runs to their end, in a terminal with their losses and newest images."""

import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TextIO

import click

from api.client.client import Client, ServiceUnreachable
from api.errors import ServiceError
from api.events.findings.schemas import FindingFacts
from api.jobs.schemas import JobRead, JobSummary
from api.server.http.schemas import TERMINAL_STATES
from ganlib.events import Severity
from ganlib.runtime.terminal import strip_controls
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS, SPEED
from ganvas.commands.options import json_option, open_client, print_json_of, runs_argument, url_option
from ganvas.commands.runs.findings import fail_on_option, leave_at_fault
from ganvas.commands.runs.pictures import Depth, draw_grid, draw_sparkline, find_depth
from ganvas.commands.tables import TONE_COLOURS, Cell, cut, show_state
from ganvas.progress import (
    FaultFound,
    choose_losses,
    follow_job,
    human_duration,
    human_progress,
    is_as_bad,
    say_finding,
    say_waiting,
)

DRAW_SECONDS = 0.2
_BAR, _SPARK, _NAME = 30, 24, 28
_CURVE_POINTS = 200


@click.command()
@runs_argument
@fail_on_option
@url_option
@json_option
def watch_command(runs: tuple[str, ...], fail_on: Severity | None, url: str | None, as_json: bool) -> None:
    """Follow runs to their end: progress, losses, verdict, newest images, and each fault as it is found.

    Where there is no terminal, lines are printed. The exit status is 0 only if all runs succeeded, and 3 after a
    fault that --fail-on names. A name that no run has keeps no other run from being followed.
    """
    with open_client(url) as client:
        if len(runs) == 1 and (as_json or not sys.stderr.isatty()):
            jobs, refused = [_follow(client, runs[0], fail_on, show=not as_json)], 0
        else:
            jobs, refused = watch_together(client, runs, fail_on, show=not as_json)
    if as_json:
        print_json_of(jobs, is_list=len(runs) > 1)
    else:
        for job in jobs:
            name = f"  {strip_controls(job.name)}" if len(jobs) > 1 else ""
            click.echo(f"{job.id}  {job.state}  {strip_controls(job.verdict.text)}{name}")
    if refused or any(job.state != "succeeded" for job in jobs):
        raise click.exceptions.Exit(1)


def _follow(client: Client, run: str, fail_on: Severity | None, *, show: bool) -> JobRead:
    with leave_at_fault(run):
        return follow_job(client, run, show_bar=show, fail_on=fail_on)


@dataclass
class Watched:
    """One run as it is shown: its newest state, both losses so far, and its newest grid."""

    run: str
    job: JobSummary | None = None
    losses: dict[str, list[float]] = field(default_factory=dict)
    png: bytes = b""
    error: ServiceError | None = None
    has_ended: bool = False
    _sha256: str = ""
    _iteration: int = -1

    def take(self, job: JobSummary) -> None:
        """Take a newer state of the run."""
        self.job = job
        self.has_ended = job.state in TERMINAL_STATES
        if job.iteration != self._iteration:
            self._iteration = job.iteration
            for name in choose_losses(job):
                self.losses.setdefault(name, []).append(job.latest[name].value)

    def needs_grid(self) -> str:
        """Return the sha256 of a newer grid than the one that is shown, or nothing."""
        newest = self.job.newest_sample if self.job else None
        if newest is None or newest.sha256 == self._sha256:
            return ""
        self._sha256 = newest.sha256
        return newest.sha256


Told = tuple[Watched, "FindingFacts | None"]


def watch_together(
    client: Client, runs: Sequence[str], fail_on: Severity | None, *, show: bool = True
) -> tuple[list[JobRead], int]:
    """Follow all runs until each has ended; return them, and how many could not be followed, which is printed.

    Raises the ServiceError of a single run, and ServiceUnreachable.
    """
    watched = [Watched(run) for run in runs]
    news: queue.Queue[Told] = queue.Queue()
    left = threading.Event()
    draws_grid = show and len(runs) == 1 and find_depth(sys.stderr) != "none"
    for one in watched:
        threading.Thread(
            target=_read_updates, args=(client, one, news, left, draws_grid), name=f"watch {one.run}", daemon=True
        ).start()
    view = (
        LiveView(watched, sys.stderr) if show and sys.stderr.isatty() else PlainView(watched, is_silent=not show)
    )
    try:
        with view.shown():
            _show_news(watched, news, view, fail_on)
    finally:
        # The client is closed next, which breaks the connections of those that still read.
        left.set()
    followed = [one for one in watched if one.error is None]
    return [client.get(one.job.id if one.job else one.run) for one in followed], len(watched) - len(followed)


def _show_news(
    watched: Sequence[Watched], news: "queue.Queue[Told]", view: "PlainView | LiveView", fail_on: Severity | None
) -> None:
    while not all(one.has_ended or one.error for one in watched) or not news.empty():
        with suppress(queue.Empty):
            one, finding = news.get(timeout=DRAW_SECONDS)
            if one.error is not None:
                if len(watched) == 1 or isinstance(one.error, ServiceUnreachable):
                    raise one.error
                view.refuse(one, one.error.text)
            elif finding is not None:
                if fail_on and finding.ended is None and is_as_bad(finding.severity, fail_on):
                    view.close()
                    with leave_at_fault(one.run):
                        raise FaultFound(finding)
                view.say(one, say_finding(finding))
        view.refresh()


def _read_updates(
    client: Client, one: Watched, news: "queue.Queue[Told]", left: threading.Event, draws_grid: bool
) -> None:
    try:
        for number, update in enumerate(client.watch(one.run)):
            if number == 0:
                names = choose_losses(update.job)
                curves = client.curves(update.job.id, *names, points=_CURVE_POINTS) if names else {}
                one.losses = {name: [*curve.values] for name, curve in curves.items()}
            if draws_grid and (sha256 := _newer_grid(one, update.job)):
                one.png = client.read_artifact(sha256)
            for finding in update.findings:
                news.put((one, finding))
            one.take(update.job)
            news.put((one, None))
    except ServiceError as error:
        one.error = error
        news.put((one, None))
    except Exception:
        # What a closed client raises, once nobody watches any more.
        if not left.is_set():
            raise


def _newer_grid(one: Watched, job: JobSummary) -> str:
    one.job = job
    return one.needs_grid()


class PlainView:
    """Whole lines, each with its run's name, where no terminal is."""

    def __init__(self, watched: Sequence[Watched], *, is_silent: bool = False) -> None:
        self._watched = watched
        self._is_silent = is_silent
        self._said: dict[int, tuple[str, int]] = {}

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Nothing is open."""
        yield

    def say(self, one: Watched, text: str) -> None:
        """Print a line about a run."""
        if not self._is_silent:
            self.refuse(one, text)

    def refuse(self, one: Watched, text: str) -> None:
        """Print why a run cannot be followed, also where all else is left out."""
        with suppress(OSError):
            print(f"{strip_controls(one.job.name if one.job else one.run)}: {text}", file=sys.stderr, flush=True)

    def refresh(self) -> None:
        """Print a line for each run that is in a new state, or that has come another twentieth further."""
        for place, one in enumerate(self._watched):
            job = one.job
            if job is None:
                continue
            now = (job.state, job.iteration * 20 // job.iterations if job.iterations else 0)
            if self._said.get(place) != now:
                self._said[place] = now
                self.say(one, f"{job.state}, iteration {human_progress(job, ' of ')}")

    def close(self) -> None:
        """Nothing is open."""


class LiveView:
    """A few lines for each run that are drawn over themselves, below what was said."""

    def __init__(self, watched: Sequence[Watched], stream: TextIO, depth: Depth | None = None) -> None:
        self._watched = watched
        self._stream = stream
        self._depth = depth or find_depth(stream)
        self._lines: list[str] = []
        self._drawn_at = 0.0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw while the block runs; what was drawn last stays."""
        self._write("\x1b[?25l")
        try:
            yield
            self._draw()
        finally:
            self.close()

    def say(self, one: Watched, text: str) -> None:
        """Print a line above the runs, which stays."""
        name = f"{strip_controls(one.job.name)}: " if one.job and len(self._watched) > 1 else ""
        self._print(f"{name}{text}")

    def refuse(self, one: Watched, text: str) -> None:
        """Print why a run cannot be followed, which stays; it is drawn no more."""
        self._watched = [other for other in self._watched if other is not one]
        self._print(f"{strip_controls(one.run)}: {text}")

    def refresh(self) -> None:
        """Draw the runs as they are now, a few times a second."""
        if time.monotonic() - self._drawn_at >= DRAW_SECONDS:
            self._draw()

    def close(self) -> None:
        """Show the cursor again."""
        self._write("\x1b[?25h")

    def _print(self, line: str) -> None:
        self._write(f"{self._back()}\x1b[J{line}\n")
        self._lines = []
        self._draw()

    def _draw(self) -> None:
        size = shutil.get_terminal_size()
        lines = self.render(size.columns, size.lines - 2)
        if os.environ.get("NO_COLOR"):
            lines = [click.unstyle(line) for line in lines]
        # A line that stays as it is, such as one of the picture's, is not sent again.
        known = [*self._lines, *[None] * len(lines)]
        parts = ["\n" if line == old else f"\x1b[2K{line}\n" for line, old in zip(lines, known, strict=False)]
        self._write(self._back() + "".join(parts) + "\x1b[J")
        self._lines, self._drawn_at = lines, time.monotonic()

    def render(self, columns: int, rows: int) -> list[str]:
        """Return the lines that fit into so many columns and rows."""
        lines: list[str] = []
        for place, one in enumerate(self._watched):
            block = render_run(one, columns)
            left = len(self._watched) - place
            if len(lines) + len(block) + (left > 1) > rows:
                return [*lines, f"… and {left} more"][:rows]
            lines += block
        if len(self._watched) == 1:
            lines += self._render_grid(self._watched[0], columns, rows - len(lines) - 1)
        return lines

    def _render_grid(self, one: Watched, columns: int, rows: int) -> list[str]:
        newest = one.job.newest_sample if one.job else None
        if not one.png or newest is None:
            return []
        lines = draw_grid(one.png, (newest.rows, newest.columns), columns, rows, self._depth)
        return [f"iteration {newest.iteration:,}", *lines] if lines else []

    def _back(self) -> str:
        return f"\x1b[{len(self._lines)}F" if self._lines else "\r"

    def _write(self, text: str) -> None:
        # A terminal that is gone disturbs nothing.
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


def render_run(one: Watched, columns: int) -> list[str]:
    """Return the lines of one run: name and state, progress, verdict, losses."""
    job = one.job
    if job is None:
        return [cut(f"{strip_controls(one.run)}  …", columns)]
    name = cut(strip_controls(job.name), max(8, columns - 30))
    head = f"{Cell(name, bold=True).paint(0, '<')}  {job.id}  {show_state(job.state).paint(0, '<')}"
    verdict = cut(strip_controls(job.verdict.text), columns)
    lines = [head, render_progress(job, columns), Cell(verdict, TONE_COLOURS.get(job.verdict.tone)).paint(0, "<")]
    if waits := say_waiting(job):
        lines.append(cut(waits, columns))
    lines += [render_loss(name, values, columns) for name, values in one.losses.items() if values]
    return lines


def render_progress(job: JobSummary, columns: int) -> str:
    """Return a bar, the iterations, their speed and the time left, as far as each is known."""
    speed = job.latest[SPEED.name].value if SPEED.name in job.latest else 0.0
    facts = [human_progress(job)]
    if job.iterations:
        facts.insert(0, f"{job.iteration / job.iterations:.0%}")
    if job.state == "running" and speed > 0:
        facts.append(f"{speed:.3g} it/s")
        if job.iterations:
            facts.append(f"{human_duration((job.iterations - job.iteration) / speed)} left")
    text = "  ".join(facts)
    width = min(_BAR, columns - len(text) - 2)
    if not job.iterations or width < 5:
        return cut(text, columns)
    full = round(width * min(1.0, job.iteration / job.iterations))
    return f"{click.style('━' * full, fg='cyan')}{click.style('─' * (width - full), fg='bright_black')}  {text}"


def render_loss(name: str, values: Sequence[float], columns: int) -> str:
    """Return a metric's curve so far and its newest value."""
    short = {GENERATOR_LOSS.name: "G", DISCRIMINATOR_LOSS.name: "D"}.get(name, strip_controls(name))
    label = cut(short, _NAME)
    width = min(_SPARK, columns - len(label) - 12)
    return cut(f"{label} {draw_sparkline(values, width)} {values[-1]:.4g}", columns)
