"""`ganvas secrets`: the passwords of a cluster's parts."""

from pathlib import Path

import click

from ganvas.cluster_secrets import write_cluster_secrets


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--database-host", default="postgres", show_default=True, help="Where the service finds PostgreSQL.")
@click.option("--broker-host", default="redis", show_default=True, help="Where service and workers find Redis.")
def command(folder: Path, database_host: str, broker_host: str) -> None:
    """Make random passwords for PostgreSQL, Redis and the file store below FOLDER, and the addresses with them.

    What is there is kept. docker-compose.yml does this by itself; k8s/README.md says where Kubernetes wants them.
    """
    written = write_cluster_secrets(folder, database_host, broker_host)
    for path in written:
        click.echo(f"wrote {path}")
    if not written:
        click.echo(f"Everything is in {folder} already; nothing was changed.")
