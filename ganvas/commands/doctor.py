"""`ganvas doctor`: checks the service that the other commands use, and what it needs on this machine."""

import dataclasses
from importlib.util import find_spec
from pathlib import Path

import click
from click.core import ParameterSource

from api.client.transport import DEFAULT_URL
from ganvas.address import default_home, is_same_address, read_service_url
from ganvas.commands.options import data_dir_option, json_option, print_json, read_settings, url_option
from ganvas.doctor import Subject, answers, run_checks

STATE_WORDS = {"ok": "ok", "warning": "WARNING", "failed": "FAILED"}


@click.command()
@url_option
@data_dir_option
@json_option
def doctor_command(url: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Check the service at --url, and its database, broker, files, disk and clock where it is on this machine.

    Cards, data sets and versions of this machine are checked too. The exit status is 1 if anything failed.
    """
    findings = run_checks(find_subject(url, data_dir))
    if as_json:
        print_json({"items": [dataclasses.asdict(finding) for finding in findings], "next": None})
    for finding in () if as_json else findings:
        click.echo(f"{STATE_WORDS[finding.state]:<8} {finding.check:<10} {finding.text}")
        if finding.advice:
            click.echo(f"{'':<8} {'':<10} → {finding.advice}")
    if any(finding.state == "failed" for finding in findings):
        raise click.exceptions.Exit(1)


def find_subject(url: str | None, data_dir: Path | None) -> Subject:
    """Return the service that other commands would use, or the one of the given folder."""
    own_url = read_service_url(data_dir or default_home())
    if data_dir is not None:
        # The folder says which service is meant, unless the address stands beside it.
        source = click.get_current_context().get_parameter_source("url")
        named = url if source is ParameterSource.COMMANDLINE else None
        return Subject(named or own_url, named is not None, read_settings(data_dir))
    if url is None and own_url is None and answers(DEFAULT_URL):
        # Such as a service in a container, whose data is not in this user's folder.
        return Subject(DEFAULT_URL, False, None)
    is_here = url is None or (own_url is not None and is_same_address(url, own_url))
    # A plain install is a client of services elsewhere.
    settings = read_settings(None) if is_here and find_spec("fastapi") is not None else None
    return Subject(url or own_url, url is not None, settings)
