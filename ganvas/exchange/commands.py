"""`ganvas import` and `ganvas export`: runs of other trackers come in, runs go out into their files."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from api.client.client import Client
from api.client.transport import Transport
from api.errors import ServiceError
from api.jobs.schemas import JobRead
from ganvas.address import default_home, read_service_url
from ganvas.commands.options import RunType, ask_each, json_option, open_client, print_json, url_option
from ganvas.exchange.forms import FORMS, find_writer, need_packages
from ganvas.exchange.outgoing.runs import ExportedRun, name_folder
from ganvas.exchange.records import Origin, SourceRun
from ganvas.exchange.resending import send_run
from ganvas.exchange.sources import KINDS, open_source
from ganvas.exchange.writing import Imported, choose_timeline, count_run, make_key, write_run
from ganvas.tracking.folder import RunFolder
from ganvas.tracking.sender.delivery import hold_delivery
from ganvas.tracking.sender.position import DeliveryRefused

# As many as the page compares.
MOST_COMPARED = 10


@click.command()
@click.argument("paths", metavar="PATH…", nargs=-1, required=True)
@click.option("--from", "kind", type=click.Choice(KINDS), help="What wrote it; without this the files tell.")
@click.option("--name", metavar="NAME", help="Call the run so; only where there is one.")
@click.option(
    "--images",
    metavar="TAG",
    help="The pictures that become the timeline; without this those that sound like samples.",
)
@click.option("--dry-run", is_flag=True, help="Read everything and say what there is; write nothing.")
@click.option(
    "--to", "out", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path),
    help="Leave each run in a folder of FOLDER, for `ganvas sync` or `ganvas up --open`, and send nothing.",
)  # fmt: skip
@click.option("--clear", is_flag=True, help="Remove the folder of each run that was sent whole.")
@json_option
@url_option
def import_command(
    paths: tuple[str, ...],
    kind: Origin | None,
    name: str | None,
    images: str | None,
    dry_run: bool,
    out: Path | None,
    clear: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Import runs of TensorBoard, Weights & Biases, trackio or MLflow.

    PATH is a file or a folder of theirs, or the address of an MLflow server. Curves keep every step, pictures
    become timelines. What was imported before is not imported again; what a run has since grown by is added.
    Rules look at grids and losses, as they do of a run of Ganvas' own.

    What was sent stays in a folder of ~/.ganvas/runs, by which a later import of the same run knows what is new.
    --clear removes it; a later import then asks the service.
    """
    if clear and (out is not None or dry_run):
        raise click.UsageError("--clear removes what was sent; with --to and --dry-run nothing is.")
    runs = _open_runs(paths, kind, name)

    def take(run: SourceRun) -> dict[str, Any]:
        timeline = choose_timeline(run.image_tags, images)
        if images is not None and timeline is None:
            click.echo(_explain_images(run, images), err=True)
        if dry_run:
            return _report(run, count_run(run, timeline=timeline), timeline)
        folder = place_run(run, out or default_home() / "runs", name)
        report = _report(run, write_run(run, folder, name=name, timeline=timeline), timeline, folder)
        if out is None:
            report["sent"] = _send(folder, url)
            report["is_kept"] = not (clear and _remove_sent(folder))
        return report

    reports = []
    for run in runs:
        reports.append(take(run))
        if not as_json:
            _print(reports[-1])
    if as_json:
        print_json({"runs": reports})
    elif any(report.get("is_kept") for report in reports):
        kept = f"kept in {default_home() / 'runs'}, by which a later import knows what is new"
        click.echo(f"What was sent is {kept}; --clear removes it.", err=True)


def _open_runs(paths: tuple[str, ...], kind: Origin | None, name: str | None) -> list[SourceRun]:
    runs = [run for path in paths for run in open_source(path, kind)]
    if not runs:
        raise click.ClickException(f"There are no runs in {', '.join(paths)}.")
    if name is not None and len(runs) > 1:
        raise click.UsageError(f"--name is for one run; {', '.join(paths)} holds {len(runs)}.")
    return runs


@click.command()
@click.argument("runs", metavar="RUN…", nargs=-1, required=True, type=RunType())
@click.option("--to", "form", required=True, type=click.Choice(FORMS), help="What they become.")
@click.option("--files", "with_files", is_flag=True, help="Also the runs' files and checkpoints.")
@click.option(
    "--max-size", type=click.FloatRange(0.1, 1000), metavar="MB",
    help="Of an HTML file; a larger one leaves grids out evenly.",
)  # fmt: skip
@click.option(
    "--together", is_flag=True, help="One HTML file that compares two to ten runs, instead of one a run."
)
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", help="Draw this in the comparison; repeatable."
)
@click.argument("home", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@url_option
def export_command(
    runs: tuple[str, ...],
    form: str,
    with_files: bool,
    max_size: float | None,
    together: bool,
    metrics: tuple[str, ...],
    home: Path,
    url: str | None,
) -> None:
    """Export RUNs into DIR as TensorBoard, CSV, Parquet, MLflow or HTML: every point and every grid.

    Each run gets a folder of DIR (or an HTML file), which appears when it is whole. An export that was broken off
    goes on where it was; one of a run that has grown takes the place of the earlier one.

    `ganvas export A B --to html --together DIR` saves both runs side by side in one file.
    """
    if together and form != "html":
        raise click.UsageError("--together is for --to html: a table or an event file holds one run.")
    if together and not 2 <= len(set(runs)) <= MOST_COMPARED:
        raise click.UsageError(f"--together compares two to {MOST_COMPARED} runs; {len(set(runs))} given.")
    if metrics and not together:
        raise click.UsageError("--metric is for --together; other exports hold every metric.")
    if max_size is not None and form != "html":
        raise click.UsageError("--max-size is for --to html.")
    need_packages(form)
    home.mkdir(parents=True, exist_ok=True)
    if together:
        with open_client(url) as client:
            jobs = [client.get(run) for run in dict.fromkeys(runs)]
            click.echo(_export_comparison(client, jobs, metrics, home, max_size))
        return

    def export(client: Client, run: str) -> JobRead:
        job = client.get(run)
        click.echo(_export_page(client, job, home, max_size) if form == "html" else write(client, job.id))
        return job

    def write(client: Client, run: str) -> Path:
        return find_writer(form)(ExportedRun.fetch(client, run, with_files=with_files), home)

    ask_each(url, runs, export, as_json=False)


def _export_page(client: Client, job: JobRead, home: Path, max_size: float | None) -> Path:
    path = home / f"{name_folder(job)}.html"
    return _tell(path, client.save_page(path, job.id, max_bytes=_to_bytes(max_size)))


def _export_comparison(
    client: Client, jobs: list[JobRead], metrics: tuple[str, ...], home: Path, max_size: float | None
) -> Path:
    # Named by its runs, so that the same comparison takes the place of an earlier one.
    path = home / f"comparison-of-{'-'.join(job.id for job in jobs)}.html"
    ids = [job.id for job in jobs]
    return _tell(path, client.save_page(path, *ids, metrics=metrics, max_bytes=_to_bytes(max_size)))


def _to_bytes(megabytes: float | None) -> int | None:
    return None if megabytes is None else int(megabytes * 1_000_000)


def _tell(path: Path, left_out: str) -> Path:
    if left_out:
        click.echo(f"{path.name} shows {left_out}.", err=True)
    return path


def place_run(run: SourceRun, home: Path, name: str | None) -> Path:
    """Return the folder of a run: the one of an earlier import, else a new one that is called by its name."""
    key = make_key(run)
    with suppress(OSError):
        for folder in home.iterdir():
            if folder.name.endswith(f"-{key}"):
                return folder
    plain = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name or run.name)
    return home / f"{plain.strip('._')[:60] or run.origin}-{key}"


def _send(folder: Path, url: str | None) -> str:
    """Send a run's folder, and say what was done; raises ClickException."""
    try:
        with Transport(url or read_service_url(default_home())) as transport:
            return send_run(RunFolder(folder), transport)
    except (ServiceError, DeliveryRefused) as error:
        message = f"{error} The run lies in {folder}; `ganvas sync {folder}` sends it."
        raise click.ClickException(message) from error


def _remove_sent(folder: Path) -> bool:
    """Remove a run's folder, unless another process still writes or sends it; return whether it is gone."""
    if RunFolder(folder).holds_run() and not RunFolder(folder).is_written():
        with hold_delivery(RunFolder(folder)) as is_held:
            if is_held:
                shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _report(
    run: SourceRun, imported: Imported, timeline: str | None, folder: Path | None = None
) -> dict[str, Any]:
    counts = {
        name: getattr(imported, name)
        for name in (
            "points",
            "replaced",
            "grids",
            "pictures",
            "histograms",
            "lines",
            "files",
            "findings",
            "new_events",
        )
    }
    report = {
        "name": run.name, "from": run.origin, "source": run.source, **counts, "timeline": timeline,
        "described": imported.describe(), "not_imported": imported.losses.sentences(),
    }  # fmt: skip
    return report if folder is None else {**report, "folder": str(folder)}


def _print(report: dict[str, Any]) -> None:
    timeline = f"; the timeline is {report['timeline']!r}" if report["grids"] else ""
    known = "; nothing of it is new" if "folder" in report and not report["new_events"] else ""
    faults = report["findings"]
    found = f"; faults: {faults:,}, see `ganvas findings`" if faults else ""
    click.echo(f"{report['name']} ({report['from']}): {report['described']}{timeline}{known}{found}")
    if place := report.get("sent") or report.get("folder"):
        click.echo(f"  {place}")
    for sentence in report["not_imported"]:
        click.echo(f"  not imported: {sentence}", err=True)


def _explain_images(run: SourceRun, asked: str) -> str:
    there = ", ".join(repr(tag) for tag in run.image_tags) or "none"
    return f"{run.name} has no pictures {asked!r}, so it gets no timeline; there are: {there}."
