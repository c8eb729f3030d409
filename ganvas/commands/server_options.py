"""Options and checks of the commands that run servers."""

import os
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]


def data_dir_option(command: Command) -> Command:
    """Add --data-dir, where the state lies."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for database, images and checkpoints  [env: GANVAS_HOME; default: ~/.ganvas]",
    )(command)


def need_server_extra() -> None:
    """Raise a sentence that says what to install when the service's packages are not there."""
    _need("fastapi", "server", "The service")


def need_train_extra() -> None:
    """Raise a sentence that says what to install when torch is not there."""
    _need("torch", "train", "Training")


def obey_parent() -> None:
    """End in order when the process in GANVAS_END_WITH_PARENT does, even if it is killed outright."""
    from worker.lifetime import end_with_parent

    parent = os.environ.pop("GANVAS_END_WITH_PARENT", None)
    if parent is not None:
        end_with_parent(int(parent), signal.SIGTERM)


def _need(module: str, extra: str, what: str) -> None:
    if find_spec(module) is None:
        raise click.ClickException(f"{what} needs more packages: pip install 'ganvas[{extra}]'")
