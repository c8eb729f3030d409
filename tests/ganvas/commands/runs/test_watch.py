"""The terminal of `ganvas watch`: what is drawn, over itself, in how many colours; and lines where none is."""

import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from api.client.client import Client
from api.client.watching import JobUpdate
from api.events.findings.schemas import FindingFacts, VerdictRead
from api.jobs.schemas import JobSummary, LatestMetric
from api.samples.schemas import SampleRead
from ganvas.commands.runs import watch
from ganvas.commands.runs.pictures import NEEDS_PILLOW, draw_grid, draw_sparkline, find_depth
from ganvas.commands.runs.watch import LiveView, Watched
from ganvas.progress import human_losses
from tests.conftest import LiveService
from tests.ganvas.conftest import RunCommand
from tests.support.services import make_png

GREY = re.compile(r"\x1b\[38;2;(\d+);\1;\1;48;2;(\d+);\2;\2m▀")
SAMPLE = SampleRead.model_construct(iteration=50, sha256="a" * 64, rows=1, columns=1, cell_width=8, cell_height=8)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def make_picture(rows: list[list[int]]) -> bytes:
    image = Image.new("L", (len(rows[0]), len(rows)))
    image.putdata([shade for row in rows for shade in row])
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def make_job(iteration: int, state: str = "running", iterations: int = 100, **latest: float) -> JobSummary:
    values: dict[str, Any] = dict.fromkeys(JobSummary.model_fields)
    values |= {
        "id": "th4jbkgz2222", "name": "my gan", "state": state, "iteration": iteration, "iterations": iterations,
        "created_at": datetime.now(UTC), "verdict": VerdictRead.model_construct(text="Collapsed", tone="serious"),
        "latest": {
            name.replace("_", "/", 1): LatestMetric(iteration=iteration, value=value)
            for name, value in latest.items()
        },
    }  # fmt: skip
    return JobSummary.model_construct(**values)


def make_watched(*jobs: JobSummary) -> Watched:
    one = Watched("my gan")
    for job in jobs:
        one.take(job)
    return one


def read_screen(text: str, height: int = 30) -> list[str]:
    """What a terminal shows after this text, without colours."""
    rows, row = [""] * height, 0
    for part in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", text):
        code = re.fullmatch(r"\x1b\[([?0-9;]*)([A-Za-z])", part)
        if part == "\n":
            row += 1
        elif code and code[2] == "F":
            row -= int(code[1])
            assert row >= 0, "above the screen"
        elif code and code[2] == "K":
            rows[row] = ""
        elif code and code[2] == "J":
            rows[row:] = [""] * (height - row)
        elif code is None and part != "\r":
            rows[row] += part
    return [line for line in rows if line]


def test_a_run_shows_progress_verdict_and_curves() -> None:
    jobs = [make_job(step, loss_generator=step / 10, loss_discriminator=0.5) for step in range(10, 60, 10)]
    jobs.append(make_job(60, loss_generator=6.0, loss_discriminator=0.5, speed_iterations_per_second=4.0))
    lines = LiveView([make_watched(*jobs)], Terminal(), "none").render(80, 20)
    screen = read_screen("".join(f"{line}\n" for line in lines))
    assert screen[0] == "my gan  th4jbkgz2222  running"
    assert screen[1].split() == ["━" * 18 + "─" * 12, "60%", "60/100", "4", "it/s", "10", "s", "left"]
    assert screen[2:] == ["Collapsed", "G ▁▂▄▅▇█ 6", "D ▄▄▄▄▄▄ 0.5"]


def test_an_own_run_without_an_end_shows_what_it_logs() -> None:
    job = make_job(5400, iterations=0, val_loss=2.0, lr=0.1)
    screen = LiveView([make_watched(job)], Terminal(), "none").render(80, 20)
    assert screen[1] == "5,400"
    assert screen[-1].startswith("val/loss ")


def test_frames_are_drawn_over_each_other_and_what_is_said_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "DRAW_SECONDS", 0.0)
    terminal, one = Terminal(), make_watched(make_job(10, loss_generator=1.0))
    view = LiveView([one], terminal, "none")
    with view.shown():
        view.refresh()
        view.say(one, "serious: Collapsed")
        before = len(terminal.getvalue())
        view.refresh()
        # What did not change is not sent again.
        assert "Collapsed" not in terminal.getvalue()[before:]
        one.take(make_job(100, "succeeded", loss_generator=2.0))
    screen = read_screen(terminal.getvalue())
    assert screen[:2] == ["serious: Collapsed", "my gan  th4jbkgz2222  succeeded"]
    assert (len(screen), screen[-1]) == (5, "G ▁█ 2")
    assert terminal.getvalue().endswith("\x1b[?25h")


def test_more_runs_than_fit_are_counted() -> None:
    view = LiveView([make_watched(make_job(10)) for _ in range(9)], Terminal(), "none")
    lines = view.render(80, 10)
    assert (len(lines), lines[-1]) == (10, "… and 6 more")


def test_the_newest_grid_is_drawn_below_the_run() -> None:
    one = make_watched(make_job(50).model_copy(update={"newest_sample": SAMPLE}))
    one.png = make_png(shade=200)
    lines = LiveView([one], Terminal(), "true").render(40, 20)
    assert "iteration 50" in lines
    assert GREY.search(lines[-1])
    assert len(lines) <= 20


def test_half_blocks_show_two_pixels_each() -> None:
    png = make_picture([[0, 255], [100, 50]])
    (line,) = draw_grid(png, (1, 1), 4, 2, "true")[:1]
    assert line.startswith("\x1b[38;2;0;0;0;48;2;0;0;0m▀▀")
    lines = draw_grid(make_png(shade=255), (1, 1), 20, 10, "256")
    assert "38;5;231;48;5;231" in lines[0]
    assert draw_grid(png, (1, 1), 40, 10, "none") == []


def test_only_whole_cells_that_can_be_seen_are_drawn() -> None:
    # 8 × 8 cells of 28 pixels in 40 × 10 characters: two of them beside each other.
    lines = draw_grid(make_png(224, 224), (8, 8), 40, 10, "true")
    assert (len(lines), lines[0].count("▀")) == (10, 40)


def test_without_pillow_the_picture_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganvas.commands.runs.pictures.find_spec", lambda _: None)
    assert draw_grid(make_png(), (1, 1), 40, 10, "true") == [NEEDS_PILLOW]


@pytest.mark.parametrize(
    ("environment", "depth"),
    [
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "true"), ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "none"), ({"TERM": "dumb"}, "none"), ({}, "none"),
    ],
)  # fmt: skip
def test_colours_are_those_of_the_terminal(environment: dict[str, str], depth: str) -> None:
    assert find_depth(Terminal(), environment) == depth
    assert find_depth(io.StringIO(), environment) == "none"


def test_a_sparkline_shows_means_and_marks_what_is_not_finite() -> None:
    assert draw_sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert draw_sparkline([0, 0, 7, 7], 2) == "▁█"
    assert draw_sparkline([1.0, float("nan"), 2.0], 3) == "▁×█"
    assert draw_sparkline([], 5) == ""


def test_several_runs_are_followed_together_as_lines_where_no_terminal_is(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    for name in ("one", "two"):
        ganvas("submit", tiny_spec, "--set", f"name={name}")
        ganvas("cancel", name)
    # A name that no run has keeps no other from being followed.
    outcome = ganvas("watch", "one", "twoo", "two")
    assert outcome.status == 1
    *followed, refused = sorted(outcome.err.splitlines())
    assert followed == [f"{name}: cancelled, iteration 0 of 20" for name in ("one", "two")]
    assert refused.startswith("twoo: There is no such job: 'twoo'")
    assert [line.split()[1] for line in outcome.out.splitlines()] == ["cancelled", "cancelled"]
    outcome = ganvas("watch", "twoo", "one", "--json")
    assert ([job["name"] for job in json.loads(outcome.out)["items"]], outcome.status) == (["one"], 1)
    assert outcome.err.startswith("twoo: There is no such job: 'twoo'")


def test_a_fault_in_one_of_several_runs_ends_the_watch(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    names = ("one", "two")
    for name in names:
        ganvas("submit", tiny_spec, "--set", f"name={name}")
    with Client(live_service.url) as client:
        jobs = {name: client.get(name) for name in names}
    finding = FindingFacts(rule="mode_collapse", severity="serious", text="One kind", since=5, iteration=9)
    updates: dict[str, list[JobUpdate]] = {"one": [JobUpdate(jobs["one"], [finding])], "two": []}
    monkeypatch.setattr(Client, "watch", lambda _, run: iter(updates[run]))
    outcome = ganvas("watch", *names, "--fail-on", "serious")
    assert (outcome.status, "ganvas show one" in outcome.err) == (3, True), outcome.err


def test_a_run_that_cannot_be_followed_is_told_above_the_others_and_drawn_no_more() -> None:
    terminal, wrong = Terminal(), Watched("nope")
    view = LiveView([make_watched(make_job(10)), wrong], terminal, "none")
    with view.shown():
        view.refuse(wrong, "There is no such job")
    screen = read_screen(terminal.getvalue())
    assert screen[:2] == ["nope: There is no such job", "my gan  th4jbkgz2222  running"]
    assert not any(line.startswith("nope ") for line in screen)


def test_a_list_shows_the_losses_of_own_runs_by_their_names() -> None:
    assert human_losses(make_job(5, loss_generator=1.0, loss_discriminator=2.0)) == "G 1.000  D 2.000"
    assert human_losses(make_job(5, lossD=0.5, lossG=1.25, acc=0.9)) == "lossD 0.5  lossG 1.25"
    assert human_losses(make_job(5, acc=0.9)) == ""
