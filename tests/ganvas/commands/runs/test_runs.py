"""The commands that talk to a service, against a real one."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.client.client import Client
from api.jobs.schemas import Average, JobRead, JobSummary, LatestMetric
from api.samples.schemas import LogLineRead
from api.server.http.schemas import Page
from ganvas.commands.runs.listing import render_sorted, show_average
from tests.conftest import LiveService
from tests.ganvas.conftest import RunCommand


def test_submitted_job_appears_in_list_show_and_logs(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path
) -> None:
    submitted = ganvas("submit", tiny_spec, "--url", live_service.url, "--json", "--set", "iterations=30")
    job = json.loads(submitted.out)
    assert (job["state"], job["iterations"]) == ("queued", 30)

    listed = json.loads(ganvas("list", "--url", live_service.url, "--json").out)
    assert ([item["id"] for item in listed["items"]], listed["next"]) == ([job["id"]], None)

    shown = ganvas("show", job["id"], "--url", live_service.url)
    assert "iteration 0 of 30" in shown.out
    assert f"{live_service.url}/runs/{job['id']}" in shown.out

    assert json.loads(ganvas("logs", job["id"], "--url", live_service.url, "--json").out)["items"] == []


def test_cancelled_job_never_runs(ganvas: RunCommand, live_service: LiveService, tiny_spec: Path) -> None:
    job_id = ganvas("submit", tiny_spec, "--url", live_service.url).out.split()[0]
    assert ganvas("cancel", job_id, "--url", live_service.url).out.split() == [job_id, "cancelled"]
    assert json.loads(ganvas("show", job_id, "--url", live_service.url, "--json").out)["state"] == "cancelled"


def test_list_groups_runs_and_says_how_many_a_mean_is_of(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path
) -> None:
    for seed in (1, 2):
        ganvas("submit", tiny_spec, "--url", live_service.url, "--set", f"seed={seed}")
    heading, row = ganvas("list", "--group", "losses.generator", "--url", live_service.url).out.splitlines()
    assert heading.split()[:3] == ["losses.generator", "runs", "seeds"]
    assert row.split()[:5] == ["non_saturating", "2", "2", "2", "queued"]
    found = json.loads(ganvas("list", "--group", "seed", "--json", "--url", live_service.url).out)
    assert [group["values"] for group in found["groups"]] == [[1], [2]]
    wrong = ganvas("list", "--group", "losses.genrator", "--url", live_service.url)
    assert "did you mean losses.generator?" in wrong.err
    assert "goes with --group" in ganvas("list", "--metric", "eval/fid", "--url", live_service.url).err
    means = [
        Average(metric="m", count=3, mean=13.0, deviation=3.60555),
        Average(metric="m", count=1, mean=4.0, deviation=None),
    ]
    assert [show_average(mean) for mean in means] == ["13 ± 3.6 (n 3)", "4 (n 1)"]


def test_repeated_idempotency_key_submits_once(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path
) -> None:
    ids = {
        ganvas("submit", tiny_spec, "--url", live_service.url, "--idempotency-key", "once").out.split()[0]
        for _ in range(2)
    }
    assert len(ids) == 1


def test_job_can_be_submitted_as_made_from_another(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path
) -> None:
    first = ganvas("submit", tiny_spec, "--url", live_service.url).out.split()[0]
    made = ganvas("submit", tiny_spec, "--made-from", first, "--url", live_service.url, "--json").out
    assert json.loads(made)["made_from"] == first


def test_service_is_found_through_the_environment(
    ganvas: RunCommand, live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    assert "No jobs" in ganvas("list").out


def test_absent_service_gets_a_sentence_that_says_how_to_start_it(ganvas: RunCommand) -> None:
    outcome = ganvas("list", "--url", "http://127.0.0.1:9")
    assert outcome.status == 1
    assert "No Ganvas service answers at http://127.0.0.1:9" in outcome.err
    assert "ganvas up" in outcome.err


def test_unknown_job_gets_a_sentence(ganvas: RunCommand, live_service: LiveService) -> None:
    outcome = ganvas("show", "nothing", "--url", live_service.url)
    assert (outcome.status, "There is no such job" in outcome.err) == (1, True)


def test_bad_spec_is_refused_before_anything_is_sent(ganvas: RunCommand, tiny_spec: Path) -> None:
    outcome = ganvas("submit", tiny_spec, "--url", "http://127.0.0.1:9", "--set", "generator.layers.0.size=63")
    assert outcome.status == 1
    assert "generator.layers.2" in outcome.err
    assert "1×8×8 = 64 numbers" in outcome.err


def test_jobs_are_found_by_spec_tagged_deleted_and_brought_back(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    ids = [ganvas("submit", tiny_spec, "--set", f"seed={seed}").out.split()[0] for seed in (1, 2)]
    found = json.loads(ganvas("list", "--json", "--where", "seed>1", "--where", "dataset=digits").out)["items"]
    assert [job["id"] for job in found] == [ids[1]]
    wrong = ganvas("list", "--where", "sed=1")
    assert (wrong.status, "did you mean seed?" in wrong.err) == (1, True)

    assert ganvas("tag", ids[0], "good", "kept", "--note", "Sharp.").out.split() == [
        ids[0],
        "good",
        "kept",
        "Sharp.",
    ]
    assert ganvas("tag", ids[0], "--remove", "kept").out.split() == [ids[0], "good", "Sharp."]
    assert ganvas("tag", ids[0], "new", "--remove", "good").out.split() == [ids[0], "new", "Sharp."]
    mixed = ganvas("tag", ids[0], ids[1], "good", "--remove", "new")
    assert (mixed.status, "good: no run" in mixed.err) == (2, True)
    of_both = ganvas("tag", *ids, "--remove", "new").out.splitlines()
    assert of_both == [f"{ids[0]}  no tags", "Sharp.", f"{ids[1]}  no tags"]

    refused = ganvas("delete", ids[0])
    assert (refused.status, "cancel it first" in refused.err) == (1, True)
    ganvas("cancel", ids[0])
    assert ids[0] in ganvas("delete", ids[0]).out
    assert ids[0] not in ganvas("list").out
    assert "is back" in ganvas("undelete", ids[0]).out
    assert ids[0] in ganvas("list").out


def test_the_beginning_of_an_id_suffices_everywhere(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    job_id = ganvas("submit", tiny_spec).out.split()[0]
    short = job_id[:8]
    assert f"({job_id})" in ganvas("show", short).out
    assert ganvas("tag", short, "größe 2", "lr=1e-3").out == f'{job_id}  "größe 2" lr=1e-3\n'
    assert job_id in ganvas("list", "--tag", "größe 2").out
    for command in ("cancel", "delete", "undelete"):
        assert ganvas(command, short).out.split()[0] == job_id
    made = ganvas("retry", short, "--idempotency-key", "once").out.split()[0]
    assert ganvas("retry", short, "--idempotency-key", "once").out.split()[0] == made != job_id
    assert ganvas("submit", tiny_spec, "--made-from", short, "--json").status == 0


def test_a_list_shows_what_it_is_sorted_by(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    for rate, seed in (("1e-3", 7), ("2e-4", 8)):
        ganvas("submit", tiny_spec, "--set", f"optimisers.generator.learning_rate={rate}", "--set", f"seed={seed}")
    field = "optimisers.generator.learning_rate"
    heading, *rows = ganvas("list", "--sort", f"-{field}").out.splitlines()
    assert [row[heading.index(field) :].split()[0] for row in rows] == ["0.001", "0.0002"]
    heading, *rows = ganvas("list", "--sort", "eval/fid").out.splitlines()
    assert [row[heading.index("eval/fid") :].split()[0] for row in rows] == ["–", "–"]
    columns = ["id", "state", "iterations", "verdict", "losses", "age", "name"]
    assert ganvas("list").out.splitlines()[0].split() == columns


def test_a_metric_stands_in_the_column_that_a_list_is_sorted_by() -> None:
    newest = LatestMetric(iteration=5, value=12.345678)
    values: dict[str, Any] = dict.fromkeys(JobSummary.model_fields)
    values |= {"id": "a", "latest": {"eval/fid": newest}, "sorted_by": 90.0}
    job = JobSummary.model_construct(**values)
    assert [render_sorted(job, name) for name in ("eval/fid", "duration", "seed")] == ["12.3457", "1 min", "90"]


def test_times_say_their_distance_from_utc_and_lines_steer_no_terminal(
    ganvas: RunCommand, live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = LogLineRead(
        at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        attempt=1,
        iteration=1000,
        level="info",
        text="\x1b[31mred\u202e é\ttab",
    )
    job = JobRead.model_construct(reason=None)
    monkeypatch.setattr(Client, "log", lambda *_, **__: Page[LogLineRead](items=[line]))
    monkeypatch.setattr(Client, "get", lambda *_: job)
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    try:
        out = ganvas("logs", "a", "--url", live_service.url).out
    finally:
        monkeypatch.undo()
        time.tzset()
    assert out == "2026-01-02 08:34:05+05:30     1,000  \\x1b[31mred\\u202e é\ttab\n"
