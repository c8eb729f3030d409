"""Options that several commands share; imports no HTTP client and no spec before a command needs them."""

import json
import os
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganvas.address import default_home, read_service_url

if TYPE_CHECKING:
    from pydantic import BaseModel

    from api.client.client import Client
    from api.server.settings import Settings

Command = Callable[..., Any]


class SuggestingGroup(click.Group):
    """A group that names the command which is nearly written like one that it does not have."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; raises UsageError."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known and not ctx.resilient_parsing:
            from ganlib.spec.documents.suggestions import find_near

            near = find_near(args[0], known, cutoff=0.6)
            advice = f"did you mean {near}?" if near else f"`{ctx.command_path} --help` lists them."
            raise click.UsageError(f"No such command {args[0]!r}; {advice}", ctx)
        return super().resolve_command(ctx, args)


def url_option(command: Command) -> Command:
    """Add --url, the address of the service."""
    return click.option(
        "--url",
        metavar="URL",
        envvar="GANVAS_URL",
        help="Address of the service  [env: GANVAS_URL; default: the one on this machine]",
    )(command)


def json_option(command: Command) -> Command:
    """Add --json, for programs that read the output."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def data_dir_option(command: Command) -> Command:
    """Add --data-dir, the folder of database, images and checkpoints."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for database, images and checkpoints  [env: GANVAS_HOME; default: ~/.ganvas]",
    )(command)


def spec_argument(command: Command) -> Command:
    """Add SPEC, a spec file or the name of a recipe."""
    return click.argument("spec_path", metavar="SPEC", type=click.Path(dir_okay=False, path_type=Path))(command)


def set_option(command: Command) -> Command:
    """Add --set path=value, which changes one field of the spec."""
    return click.option(
        "--set",
        "overrides",
        metavar="PATH=VALUE",
        multiple=True,
        help="Change one field: --set optimisers.generator.learning_rate=1e-4 (repeatable).",
    )(command)


def open_client(url: str | None) -> "Client":
    """Return a client of the service at `url`, or of the one that runs on this machine."""
    from api.client.client import Client

    return Client(url or read_service_url(default_home()))


def read_spec(path: Path, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Read a spec file, or the recipe of that name if there is no such file, and apply --set; without checks."""
    from ganlib.spec.documents.suggestions import find_near
    from ganlib.spec.files import apply_overrides, read_spec_file, read_spec_text
    from recipes import read_texts

    name = path.as_posix().removeprefix("recipes/").removesuffix(".yaml")
    recipe = None if path.exists() else read_texts().get(f"{name}.yaml")
    if recipe is None and not path.exists():
        near = find_near(name, [file.removesuffix(".yaml") for file in read_texts()])
        advice = f"did you mean the recipe {near}?" if near else "`ganvas recipes` lists the recipes."
        raise click.ClickException(f"There is no file {str(path)!r} and no recipe of this name; {advice}")
    spec = read_spec_file(path) if recipe is None else read_spec_text(recipe, str(path))
    return apply_overrides(spec, list(overrides))


def read_settings(data_dir: Path | None, **values: Any) -> "Settings":
    """Return the service's settings from GANVAS_… variables; --data-dir and `values` take precedence.

    Raises ClickException with the missing extra if the service's packages are not installed, and for settings that
    are not valid.
    """
    need_server_extra()
    from pydantic import ValidationError

    from api.server.settings import Settings

    try:
        return Settings(**values) if data_dir is None else Settings(**values, home=data_dir)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        sentences = [f"GANVAS_{str(each['loc'][0]).upper()}: {each['msg']}." for each in problems]
        raise click.ClickException(" ".join(sentences).replace("Value error, ", "")) from None


def print_json(value: "BaseModel | dict[str, Any]") -> None:
    """Print one JSON document."""
    data = value if isinstance(value, dict) else value.model_dump(mode="json")
    click.echo(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))


def need_server_extra() -> None:
    """Raise ClickException with the extra to install if the service's packages are missing."""
    _need("fastapi", "server", "The service")


def need_train_extra() -> None:
    """Raise ClickException with the extra to install if torch is missing."""
    _need("torch", "train", "Training")


def _need(module: str, extra: str, what: str) -> None:
    if find_spec(module) is None:
        raise click.ClickException(f"{what} needs more packages: pip install 'ganvas[{extra}]'")


def end_with_caller() -> None:
    """End in order when the process in GANVAS_END_WITH_PARENT does, even if that one is killed."""
    from worker.trainer.parent_death import end_with_parent

    parent = os.environ.pop("GANVAS_END_WITH_PARENT", None)
    if parent is not None:
        end_with_parent(int(parent), signal.SIGTERM)
