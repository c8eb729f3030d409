"""Sends an imported run, also where the folder that it was first sent from is gone and the source has grown.

The events of a new folder may then have other numbers than those that the service has. So what the service lacks
is found by comparing, and is sent as the events of another attempt.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from api.client.client import Client
from api.client.transport import Transport
from api.errors import AttemptFenced
from ganvas.tracking.commands import sync_run
from ganvas.tracking.folder import RunFolder
from ganvas.tracking.sender.delivery import Delivery


def send_run(folder: RunFolder, transport: Transport) -> str:
    """Send what the service lacks of an imported run, and return what was done, in words.

    Raises ServiceError or DeliveryRefused. A folder that came to hold only a part of the run is removed.
    """
    if transport.url in folder.read_positions():
        return sync_run(folder.path, transport)
    job_id = _find_job(folder, transport)
    if job_id is None:
        return sync_run(folder.path, transport)
    with Client(transport.url) as client:
        job = client.get(job_id)
        missing = list(_list_missing(folder, client, job_id))
    if not missing:
        return f"nothing new, {job.state}: {transport.url}{job.url}"
    _rewrite(folder, missing, job.attempt + 1)
    said = sync_run(folder.path, transport)
    shutil.rmtree(folder.path, ignore_errors=True)
    return said


def _find_job(folder: RunFolder, transport: Transport) -> str | None:
    """Return the id of the job under which the service has events of this run; None if it has none."""
    ended = folder.read_end()
    with closing(Delivery(folder, transport, compares=False)) as delivery:
        try:
            opened = delivery.open(ended["events_count"] if ended else None)
        except AttemptFenced as error:
            return str(error.details["job_id"])
        if opened.next_seq and ended and not opened.is_whole:
            # As it was; what is new comes as another attempt.
            delivery.finish(ended)
        return opened.job_id if opened.next_seq else None


def _rewrite(folder: RunFolder, lines: list[dict[str, Any]], attempt: int) -> None:
    """Let the folder hold these events alone, as those of this attempt."""
    kept = [(line, _read_file(folder, line["event"])) for line in lines]
    header, end = folder.read_header(), folder.read_end()
    for name in ("events.jsonl", "files.bin", "end.json", "position.json"):
        (folder.path / name).unlink(missing_ok=True)
    with RunFolder.reopen(folder.path) as rewritten:
        rewritten.write_header({**header, "attempt": attempt})
        for line, content in kept:
            event = line["event"] if content is None else {**line["event"], "file": rewritten.add_file(content)}
            rewritten.append(event, line["at"])
        if end is not None:
            rewritten.end(end["end"], end["reason"], end["ended_at"])


def _read_file(folder: RunFolder, event: dict[str, Any]) -> bytes | None:
    return folder.read_file(event["file"]) if "file" in event else None


def _list_missing(folder: RunFolder, client: Client, job_id: str) -> Iterator[dict[str, Any]]:
    # Of several values of one step the service tells the last alone: all are known where that one is the source's.
    lines = list(folder.read_events())
    known = _Known(client, job_id)
    last = {
        (name, line["event"]["iteration"]): float(value)
        for line in lines
        if line["event"]["kind"] == "metrics_logged"
        for name, value in line["event"]["values"].items()
    }
    for line in lines:
        event = line["event"]
        if event["kind"] == "metrics_logged":
            step = event["iteration"]
            values = {
                name: value
                for name, value in event["values"].items()
                if not known.has_point(name, step, last[name, step])
            }
            if values:
                yield {**line, "event": {**event, "values": values}}
        elif not known.has(event):
            yield line


class _Known:
    """What the service has of a run."""

    def __init__(self, client: Client, job_id: str) -> None:
        self._points = {
            name: dict(zip(points.iterations, points.values, strict=True))
            for name, points in client.curve_columns(job_id).items()
        }
        self._grids = {(sample.iteration, sample.sha256) for sample in client.samples(job_id)}
        self._files = {(file.name, file.sha256) for file in client.files(job_id)}
        self._histograms = {
            (name, each.iteration) for name, histograms in client.histograms(job_id).items() for each in histograms
        }
        self._findings = {(finding.rule, finding.since) for finding in client.findings(job_id)}
        self._lines = {(line.iteration, line.text) for line in client.log(job_id, tail=5000).items}

    def has_point(self, name: str, step: int, value: float) -> bool:
        """Say whether this is the value of the step; NaN equals NaN."""
        found = self._points.get(name, {}).get(step)
        return found is not None and (found == value or (found != found and value != value))

    def has(self, event: dict[str, Any]) -> bool:
        """Say whether a grid, file, histogram or line is there."""
        step = event["iteration"]
        match event["kind"]:
            case "sample_grid_saved":
                return (step, event["file"]["sha256"]) in self._grids
            case "file_saved":
                return (event["name"], event["file"]["sha256"]) in self._files
            case "histograms_logged":
                return all((name, step) in self._histograms for name in event["histograms"])
            case "finding_reported":
                return (event["rule"], event["since"]) in self._findings
            case _:
                return (step, event.get("text")) in self._lines
