"""`ganvas demo`: from nothing to a GAN that learns on a page."""

from pathlib import Path

import click

from ganvas.commands.server_options import data_dir_option, need_server_extra, need_train_extra


@click.command()
@click.option("--iterations", type=click.IntRange(1), help="Train this many iterations instead of the recipe's.")
@click.option("--exit", "exit_at_end", is_flag=True, help="End with the job; exit status 0 if it succeeded.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port of the service  [default: 8000, else a free one]"
)
@data_dir_option
def command(iterations: int | None, exit_at_end: bool, port: int | None, data_dir: Path | None) -> None:
    """Train a GAN on MNIST on this machine and watch it on the dashboard.

    Starts the service and a worker, submits the recipe and shows the progress. Ctrl-C stops everything and loses
    nothing: run it again and it goes on.
    """
    need_server_extra()
    need_train_extra()
    from ganvas.demo import run_demo

    state = run_demo(iterations=iterations, exit_at_end=exit_at_end, port=port, home=data_dir)
    if state == "interrupted":
        raise click.exceptions.Exit(130)
    if exit_at_end and state != "succeeded":
        raise click.exceptions.Exit(1)
