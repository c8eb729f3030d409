"""Options that several commands share, and how they print."""

import json
import os
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from api.client.client import Client
from ganlib.spec.files import apply_overrides, read_spec_file, read_spec_text
from ganvas.address import default_home, read_service_url
from recipes import read_texts

Command = Callable[..., Any]


def url_option(command: Command) -> Command:
    """Add --url, which names the service."""
    return click.option(
        "--url",
        metavar="URL",
        envvar="GANVAS_URL",
        help="Address of the service  [env: GANVAS_URL; default: the one on this machine]",
    )(command)


def json_option(command: Command) -> Command:
    """Add --json, for programs that read the output."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def set_option(command: Command) -> Command:
    """Add --set path=value, which changes one field of the spec."""
    return click.option(
        "--set",
        "overrides",
        metavar="PATH=VALUE",
        multiple=True,
        help="Change one field: --set optimisers.generator.learning_rate=1e-4 (repeatable).",
    )(command)


def spec_argument(command: Command) -> Command:
    """Add the spec file, or the name of a recipe that ships."""
    return click.argument("spec_path", metavar="SPEC", type=click.Path(dir_okay=False, path_type=Path))(command)


def read_spec(path: Path, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Read a spec file, or the recipe of that name where no file has it, and apply --set; not checked yet."""
    name = path.as_posix().removeprefix("recipes/").removesuffix(".yaml")
    recipe = None if path.exists() else read_texts().get(f"{name}.yaml")
    spec = read_spec_file(path) if recipe is None else read_spec_text(recipe, str(path))
    return apply_overrides(spec, list(overrides))


def open_client(url: str | None) -> Client:
    """Return a client of the service that --url or GANVAS_URL names, else of the one that runs on this machine."""
    return Client(url or read_service_url(default_home()))


def print_json(value: BaseModel | dict[str, Any]) -> None:
    """Print one JSON document."""
    data = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    click.echo(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))


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
    from worker.trainer.parent_death import end_with_parent

    parent = os.environ.pop("GANVAS_END_WITH_PARENT", None)
    if parent is not None:
        end_with_parent(int(parent), signal.SIGTERM)


def _need(module: str, extra: str, what: str) -> None:
    if find_spec(module) is None:
        raise click.ClickException(f"{what} needs more packages: pip install 'ganvas[{extra}]'")
