"""Options that several commands share; imports no HTTP client and no spec before a command needs them."""

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ganvas.address import default_home, read_service_url

if TYPE_CHECKING:
    from pydantic import BaseModel

    from api.client.client import Client
    from api.jobs.schemas import JobRead
    from api.server.settings import Settings

Command = Callable[..., Any]
# Set by completion scripts that quote names for their shell.
WHOLE_NAMES = "_GANVAS_WHOLE_NAMES"
# A shell waits for it.
COMPLETION_SECONDS = 1.0


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


class SpecPath(click.Path):
    """A spec's file or a recipe's name; a shell completes both."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Return recipes that begin so, and else files."""
        return complete_recipes(ctx, param, incomplete) or super().shell_complete(ctx, param, incomplete)


def complete_recipes(_: click.Context, __: click.Parameter, incomplete: str) -> list[Any]:
    """Return the recipes whose names begin so."""
    from recipes import read_texts

    names = (file.removesuffix(".yaml") for file in read_texts())
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_fields(end: str = "") -> Callable[[click.Context, click.Parameter, str], list[Any]]:
    """Return a completer of the spec's fields; `end` follows each. Without one, metrics are offered as well."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[Any]:
        from ganlib.spec.paths import list_fields
        from ganlib.vocabulary import METRICS

        names = [*list_fields(), *([] if end else [metric.name for metric in METRICS])]
        return [CompletionItem(f"{name}{end}") for name in names if name.startswith(incomplete)]

    return complete


def spec_argument(command: Command) -> Command:
    """Add SPEC, a spec file or the name of a recipe."""
    return click.argument("spec_path", metavar="SPEC", type=SpecPath(dir_okay=False, path_type=Path))(command)


def set_option(command: Command) -> Command:
    """Add --set path=value, which changes one field of the spec."""
    return click.option(
        "--set",
        "overrides",
        metavar="PATH=VALUE",
        multiple=True,
        shell_complete=complete_fields("="),
        help="Change one field: --set optimisers.generator.learning_rate=1e-4 (repeatable).",
    )(command)


@contextmanager
def open_client(url: str | None) -> "Iterator[Client]":
    """Yield a client of the service at `url`, or of the one that runs on this machine."""
    from api.client.client import Client

    with Client(url or read_service_url(default_home())) as client:
        yield client


class RunType(click.ParamType[str]):
    """An id of a run, the beginning of one, or a name; a shell completes them."""

    name = "run"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Return ids and names that begin so; nothing where no service answers at once."""
        return [
            CompletionItem(value, help=about)
            for value, about in _list_runs(ctx.params.get("url"), incomplete)
            if value.startswith(incomplete)
        ]


def _list_runs(url: str | None, incomplete: str) -> list[tuple[str, str]]:
    import httpx

    address = url or os.environ.get("GANVAS_URL") or read_service_url(default_home()) or "http://127.0.0.1:8000"
    token = os.environ.get("GANVAS_TOKEN", "").strip()
    try:
        answer = httpx.get(
            f"{address.rstrip('/')}/jobs",
            params={"limit": 200},
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=COMPLETION_SECONDS,
        )
        jobs = answer.raise_for_status().json()["items"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError):
        return []
    # An older script takes a name with a space for two words; its id stands for it.
    refused = set("\t\n" if os.environ.get(WHOLE_NAMES) else " \t\n\"'()")
    names = dict.fromkeys((job["name"], job["state"]) for job in jobs if not set(job["name"]) & refused)
    return [*names, *((job["id"], job["name"]) for job in jobs)]


run_argument = click.argument("run", metavar="RUN", type=RunType())
runs_argument = click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RunType())


def ask_each(
    url: str | None,
    runs: Sequence[str],
    ask: "Callable[[Client, str], JobRead]",
    say: "Callable[[JobRead], str] | None" = None,
    *,
    as_json: bool,
) -> None:
    """Do something with one run after another and say what came of it; what one refuses keeps no other from it.

    One run's document is printed by itself, several beneath `items`. Exit status 1 if anything was refused.
    """
    answers = []
    with open_client(url) as client, each_run(runs) as attempt:
        for run in runs:
            with attempt(run):
                answers.append(ask(client, run))
                if say is not None and not as_json:
                    click.echo(say(answers[-1]))
        if as_json:
            print_json_of(answers, is_list=len(runs) > 1)


@contextmanager
def each_run(runs: Sequence[str]) -> "Iterator[Callable[[str], AbstractContextManager[None]]]":
    """Yield what holds the errors of one run back, and tells them, so that the others are done as well.

    At the end the exit status is 1 if there were any. A single run's error is raised, and so is that of a service
    that cannot be reached.
    """
    from api.client.transport import ServiceUnreachable
    from api.errors import ServiceError

    refused: list[str] = []

    @contextmanager
    def attempt(run: str) -> Iterator[None]:
        try:
            yield
        except ServiceError as error:
            if len(runs) == 1 or isinstance(error, ServiceUnreachable):
                raise
            refused.append(run)
            click.echo(f"{run}: {error.text}", err=True)

    yield attempt
    if refused:
        raise click.exceptions.Exit(1)


def print_json_of(items: "Sequence[BaseModel]", *, is_list: bool) -> None:
    """Print one document, or several beneath `items`."""
    if is_list:
        print_json({"items": [item.model_dump(mode="json") for item in items], "next": None})
    elif items:
        print_json(items[0])


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


def need_mcp_extra() -> None:
    """Raise ClickException with the extra to install if the package of the protocol is missing."""
    _need("mcp", "mcp", "Serving agents")


def _need(module: str, extra: str, what: str) -> None:
    if find_spec(module) is None:
        raise click.ClickException(f"{what} needs more packages: pip install 'ganvas[{extra}]'")


def end_with_caller() -> None:
    """End in order when the process in GANVAS_END_WITH_PARENT does, even if that one is killed."""
    from worker.trainer.parent_death import end_with_parent

    parent = os.environ.pop("GANVAS_END_WITH_PARENT", None)
    if parent is not None:
        end_with_parent(int(parent), signal.SIGTERM)
