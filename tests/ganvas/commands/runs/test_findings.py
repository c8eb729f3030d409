"""What the commands say of faults: the verdict first, what to do, and exit statuses for scripts."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from api.client.client import Client
from api.events.findings import advice
from api.events.findings.schemas import AdviceRead, FindingAdvised
from ganlib.errors import SpecInvalid
from ganlib.evaluation.diagnosis.advice import Advice
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.events import TrainingStarted
from ganlib.spec.files import apply_overrides, read_spec_text
from ganlib.spec.parse import parse_spec
from ganvas.commands.specs.training import TrainingBar
from ganvas.progress import human_date, render_finding, write_settings
from recipes import read_texts
from tests.conftest import LiveService
from tests.ganvas.conftest import RunCommand
from tests.support.fake_worker import FakeWorker, connect, make_spec
from tests.support.services import make_finding

VERDICT = "Collapsed since iteration 120: 64 cells, 1 kind"


@pytest.fixture
def worker(live_service: LiveService) -> Iterator[FakeWorker]:
    """A worker whose job has collapsed."""
    worker = connect(live_service.url)
    worker.submit()
    worker.claim()
    worker.post(make_finding(200, 120).model_dump(mode="json"))
    yield worker
    worker.client.close()


def test_list_and_show_say_the_verdict_before_numbers(
    ganvas: RunCommand, live_service: LiveService, worker: FakeWorker
) -> None:
    worker.finish("succeeded")
    heading, row = ganvas("list", "--url", live_service.url).out.splitlines()
    assert heading.split() == ["id", "state", "iterations", "verdict", "losses", "age", "name"]
    assert row.index("succeeded") < row.index(VERDICT) < row.index("first-light")
    assert heading.index("losses") > row.index(VERDICT) + len(VERDICT)
    shown = ganvas("show", worker.job_id, "--url", live_service.url).out
    assert shown.splitlines()[1] == f"verdict     {VERDICT}"
    assert f"serious: {VERDICT}\n" in shown
    assert "evidence  signals/kinds 1, signals/diversity 0.01" in shown
    advised = advice.list_advice("mode_collapse", parse_spec(make_spec()).model_dump(mode="json"))
    assert advised
    assert all(words in shown for each in advised for words in each.words)
    assert [f"try {number} " in shown for number in range(1, len(advised) + 2)] == [*[True] * len(advised), False]
    assert f"ganvas findings {worker.job_id} --try 1" in shown
    # Short and at length: what the defaults say is left out, and dates are for people.
    assert "learning_rate" in shown
    assert "checkpoint_every" not in shown
    assert "checkpoint_every" in ganvas("show", worker.job_id, "--spec", "--url", live_service.url).out
    assert f"created     {human_date(datetime.now(UTC))[:6].strip()}" in shown


def test_advice_is_tried_by_its_number(ganvas: RunCommand, live_service: LiveService, worker: FakeWorker) -> None:
    with Client(live_service.url) as client:
        parent = client.get(worker.job_id)
        advice = parent.findings[0].advice
        tried = ganvas("findings", "first-light", "--try", "2", "--name", "again", "--url", live_service.url)
        assert tried.err.strip() == f"{advice[1].title}: {'; '.join(advice[1].words)}"
        made = client.get("again")
    assert (made.id, made.made_from) == (tried.out.split()[0], worker.job_id)
    changed = apply_overrides(
        parent.spec, [f"{path}={json.dumps(new)}" for path, new in advice[1].changes.items()]
    )
    assert made.spec == changed | {"name": "again"}
    refused = ganvas("findings", worker.job_id, "--try", "99", "--url", live_service.url)
    assert (refused.status, f"the numbers go up to {len(advice)}" in refused.err) == (2, True)


def test_what_a_failed_run_printed_last_is_shown_and_logged(
    ganvas: RunCommand, live_service: LiveService, worker: FakeWorker
) -> None:
    printed = "\n".join([f"line {number}" for number in range(20)] + ["\x1b[31mValueError: no"])
    worker.finish("failed", "loop_failed", "ValueError: no", log_tail=printed)
    for command in ("show", "logs"):
        lines = ganvas(command, worker.job_id, "--url", live_service.url).out.splitlines()
        start = lines.index("last output, 12 of 21 lines; all of them: --output")
        assert (lines[start + 1], lines[start + 12]) == ("    line 9", "    \\x1b[31mValueError: no")
        whole = ganvas(command, worker.job_id, "--output", "--url", live_service.url).out
        assert "last output\n    line 0\n" in whole


def test_list_is_filtered_by_verdict_and_finding(
    ganvas: RunCommand, live_service: LiveService, worker: FakeWorker
) -> None:
    def ids(*options: str) -> list[str]:
        listed = json.loads(ganvas("list", *options, "--url", live_service.url, "--json").out)
        return [item["id"] for item in listed["items"]]

    other = worker.submit()
    assert ids("--verdict", "serious") == ids("--finding", "mode_collapse") == [worker.job_id]
    assert ids("--verdict", "unknown") == [other]
    assert "No such job." in ganvas("list", "--verdict", "note", "--url", live_service.url).out


def test_findings_of_all_jobs_and_of_one(
    ganvas: RunCommand, live_service: LiveService, worker: FakeWorker
) -> None:
    listed = ganvas("findings", "--url", live_service.url).out
    assert listed.startswith(worker.job_id)
    assert f"serious: {VERDICT}  (first-light)" in listed
    assert ganvas("findings", "--ended", "--url", live_service.url).out == "No such finding.\n"
    own = json.loads(ganvas("findings", worker.job_id, "--active", "--url", live_service.url, "--json").out)
    assert [item["rule"] for item in own["items"]] == ["mode_collapse"]
    assert ganvas("findings", worker.job_id, "--ended", "--url", live_service.url).out == "No such finding.\n"
    worker.submit(name="other")
    both = ganvas("findings", "other", "nope", worker.job_id, "--url", live_service.url)
    assert (both.status, both.err.startswith("nope: There is no such job")) == (1, True)
    assert (
        both.out.index("No such finding.")
        < both.out.index(f"first-light  ({worker.job_id})")
        < both.out.index(VERDICT)
    )
    items = json.loads(ganvas("findings", "other", worker.job_id, "--json", "--url", live_service.url).out)[
        "items"
    ]
    assert [(item["job_id"], item["rule"]) for item in items] == [(worker.job_id, "mode_collapse")]


def test_watch_tells_faults_and_how_the_job_ended(
    ganvas: RunCommand, live_service: LiveService, worker: FakeWorker
) -> None:
    worker.post(make_finding(400, 120, ended=350).model_dump(mode="json"))
    worker.finish("succeeded")
    watched = ganvas("watch", worker.job_id, "--url", live_service.url)
    assert "ended: Collapsed from iteration 120 to 350: 64 cells, 1 kind" in watched.err
    # Without signals nobody looked since.
    assert watched.out == f"{worker.job_id}  succeeded  Not examined: this run logs no signals\n"
    assert watched.status == 0


@pytest.mark.parametrize(("fail_on", "status"), [("serious", 3), ("note", 3), (None, 0)])
def test_watch_leaves_with_a_status_of_its_own_at_a_fault_as_bad(
    ganvas: RunCommand, live_service: LiveService, worker: FakeWorker, fail_on: str | None, status: int
) -> None:
    worker.finish("succeeded")
    options = ["--fail-on", fail_on] if fail_on else []
    watched = ganvas("watch", worker.job_id, *options, "--url", live_service.url)
    assert watched.status == status
    assert f"serious: {VERDICT}" in watched.err
    assert (f"ganvas show {worker.job_id}" in watched.err) == (status == 3)


def test_watch_does_not_leave_at_a_lesser_fault(
    ganvas: RunCommand, live_service: LiveService, worker: FakeWorker
) -> None:
    worker.post(make_finding(200, 120, severity="warning").model_dump(mode="json"))
    worker.finish("succeeded")
    assert ganvas("watch", worker.job_id, "--fail-on", "serious", "--url", live_service.url).status == 0


def test_watch_of_a_failed_job_fails(ganvas: RunCommand, live_service: LiveService, worker: FakeWorker) -> None:
    worker.finish("failed", "out_of_memory", "No memory.")
    assert ganvas("watch", worker.job_id, "--url", live_service.url).status == 1


def test_followed_logs_have_faults(ganvas: RunCommand, live_service: LiveService, worker: FakeWorker) -> None:
    worker.finish("succeeded")
    assert f"serious: {VERDICT}" in ganvas("logs", worker.job_id, "--follow", "--url", live_service.url).out


def test_fail_on_without_waiting_is_refused(ganvas: RunCommand, tiny_spec: Any) -> None:
    outcome = ganvas("submit", tiny_spec, "--fail-on", "serious")
    assert (outcome.status, "add --wait" in outcome.err) == (2, True)


def test_the_client_tells_each_change_of_a_finding_once(live_service: LiveService, worker: FakeWorker) -> None:
    told: list[tuple[int, int | None]] = []
    with Client(live_service.url) as client:
        for update in client.watch(worker.job_id):
            for finding in update.findings:
                told.append((finding.since, finding.ended))
                if finding.ended is None:
                    worker.post(make_finding(200, 120).model_dump(mode="json"))
                    worker.post(make_finding(300, 120, ended=250).model_dump(mode="json"))
                else:
                    worker.finish("succeeded")
        assert told == [(120, None), (120, 250)]
        assert [finding.ended for finding in client.findings(worker.job_id)] == [250]
        assert [finding.job_id for finding in client.list_findings(active=False)] == [worker.job_id]
        assert client.get(worker.job_id).verdict.tone == "unknown"
        assert [job.id for job in client.list(finding="mode_collapse")] == [worker.job_id]


def try_all(recipe: str) -> int:
    """Set each advice on a recipe as it is printed; returns how many there are."""
    spec = parse_spec(read_spec_text(read_texts()[recipe], recipe)).model_dump(mode="json")
    settings = [write_settings(each.changes) for rule in RULES for each in advice.list_advice(rule, spec)]
    for changes in settings:
        parse_spec(apply_overrides(spec, shlex.split(" ".join(changes))[1::2]))
    return len(settings)


@pytest.mark.parametrize("recipe", ["catgan-mnist.yaml", "first-light.yaml", "wgan-gp-mnist.yaml"])
def test_every_advice_can_be_set_as_it_is_printed(recipe: str) -> None:
    assert try_all(recipe) > 0


def test_control_without_a_check_some_advice_makes_no_valid_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "is_possible", lambda *_: True)
    monkeypatch.setattr(advice, "RULES", {name: replace(rule, remedies=(twice,)) for name, rule in RULES.items()})
    with pytest.raises(SpecInvalid):
        try_all("first-light.yaml")


def twice(_: Any) -> Advice:
    return Advice("Twice", "", "", {"batch_size": "twice"})


def test_words_numbers_and_lists_are_written_for_a_shell() -> None:
    changes = {"losses.generator": "hinge", "a": 1e-4, "techniques": [{"technique": "r1"}], "b": "true", "c": None}
    assert write_settings(changes) == [
        "--set losses.generator=hinge",
        "--set a=0.0001",
        """--set 'techniques=[{"technique": "r1"}]'""",
        """--set 'b="true"'""",
        "--set c=null",
    ]


def test_what_was_done_about_a_fault_is_told() -> None:
    lower = Advice("Lower the rate", "It takes smaller steps.", "Heusel and others, 2017", {"seed": 8})
    finding = FindingAdvised(
        **make_finding(300, 200).model_dump(exclude={"kind"})
        | {"action": "rollback", "rolled_back_to": 100, "changes": {"batch_size": 32}},
        title="Mode collapse",
        meaning="All samples are alike.",
        description="",
        attempt=1,
        created_at="2026-01-01T00:00:00Z",
        updated_at="2026-01-01T00:00:00Z",
        advice=[AdviceRead(**vars(lower), words=["seed: 7 → 8"])],
    )
    assert render_finding(finding).splitlines() == [
        "serious: Collapsed since iteration 200: 64 cells, 1 kind",
        "    All samples are alike.",
        "    evidence  signals/kinds 1, signals/diversity 0.01",
        "    done      back to iteration 100, with --set batch_size=32",
        "    try 1     Lower the rate. It takes smaller steps. (Heusel and others, 2017)",
        "              seed: 7 → 8",
    ]


def test_training_here_prints_faults_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    bar = TrainingBar(1000)
    started = {"iteration": 0, "iterations": 1000, "device": "cpu", "precision": "float32", "image_count": 1}
    bar.show(TrainingStarted(**started, generator_parameters=1, discriminator_parameters=1))
    bar.show(make_finding(200, 120))
    bar.close()
    assert f"serious: {VERDICT}" in capsys.readouterr().err
