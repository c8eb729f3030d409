"""`ganvas doctor`: is everything there, and what to do where it is not."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from ganvas.commands.options import json_option, print_json
from ganvas.commands.server_options import data_dir_option, need_server_extra

WORDS = {"ok": "ok", "warning": "WARNING", "failed": "FAILED"}


@click.command()
@data_dir_option
@json_option
def command(data_dir: Path | None, as_json: bool) -> None:
    """Check database, broker, files, disk, clocks, cards and versions; the exit status is 1 if anything failed."""
    need_server_extra()
    from api.settings import Settings
    from ganvas.doctor import run_checks

    given: dict[str, Any] = {} if data_dir is None else {"home": data_dir}
    findings = run_checks(Settings(**given))
    if as_json:
        print_json({"items": [dataclasses.asdict(finding) for finding in findings], "next": None})
    for finding in () if as_json else findings:
        click.echo(f"{WORDS[finding.state]:<8} {finding.check:<10} {finding.text}")
        if finding.advice:
            click.echo(f"{'':<8} {'':<10} → {finding.advice}")
    if any(finding.state == "failed" for finding in findings):
        raise click.exceptions.Exit(1)
