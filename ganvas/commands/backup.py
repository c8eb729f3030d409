"""`ganvas backup` and `ganvas restore`: everything that a service knows, in one folder."""

from pathlib import Path
from typing import Any

import click

from ganvas.commands.server_options import data_dir_option, need_server_extra

folder_argument = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.command()
@folder_argument
@data_dir_option
def command(folder: Path, data_dir: Path | None) -> None:
    """Write rows and files into FOLDER, while the service and its jobs go on."""
    _run("write_backup", folder, data_dir)
    click.echo(f"The backup is in {folder}.")


@click.command()
@folder_argument
@data_dir_option
def restore_command(folder: Path, data_dir: Path | None) -> None:
    """Fill an empty service with the backup in FOLDER; stop the service before."""
    _run("read_backup", folder, data_dir)
    click.echo("Restored. Jobs that ran go on from their checkpoints once a worker claims them.")


def _run(name: str, folder: Path, data_dir: Path | None) -> None:
    need_server_extra()
    from api.settings import Settings
    from ganvas import backup

    given: dict[str, Any] = {} if data_dir is None else {"home": data_dir}
    try:
        getattr(backup, name)(Settings(**given), folder, lambda line: click.echo(line, err=True))
    except backup.BackupInvalid as error:
        raise click.ClickException(str(error)) from None
