"""The `ganvas` command: a table of its subcommands, each imported only when it runs."""

import importlib
import os
import sys
from typing import Any

import click

from ganlib.runtime.terminal import leave_closed_output, prepare_output
from ganvas.commands.options import SuggestingGroup

# Name → (module, one-line help). The module holds a click command called `<name>_command`.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("ganvas.commands.serve", "Train a GAN on MNIST and watch it on the dashboard."),
    "up": ("ganvas.commands.serve", "Start the service, the dashboard and a worker on this machine."),
    "worker": ("ganvas.commands.serve", "Start a worker for a service that already runs."),
    "sync": ("ganvas.tracking.commands", "Send runs that ganvas.init recorded without a service."),
    "submit": ("ganvas.commands.specs.submit", "Submit a job spec to the service."),
    "list": ("ganvas.commands.runs.listing", "List runs, newest first, or write them as CSV or JSON lines."),
    "show": ("ganvas.commands.runs.show", "Show runs: verdict, state, faults, attempts, spec."),
    "open": ("ganvas.commands.runs.show", "Open a run's page in the browser."),
    "watch": ("ganvas.commands.runs.watch", "Follow runs to their end, with losses, images and faults."),
    "findings": ("ganvas.commands.runs.findings", "List the faults that were found, or one run's and what to do."),
    "diff": ("ganvas.commands.runs.diff", "Say what two runs differ in, and which is better."),
    "logs": ("ganvas.commands.runs.show", "Print runs' logs."),
    "retry": ("ganvas.commands.runs.changes", "Try a failed or cancelled run again, from its newest checkpoint."),
    "workers": ("ganvas.commands.runs.show", "List the workers and what they are doing."),
    "figure": ("ganvas.commands.runs.figures", "Draw timelines beside each other, or curves, as PDF, SVG or PNG."),
    "movie": ("ganvas.commands.runs.figures", "Make a movie of a run's timeline."),
    "cancel": ("ganvas.commands.runs.changes", "Cancel runs."),
    "tag": ("ganvas.commands.runs.changes", "Give runs tags and a note, or take tags away."),
    "delete": ("ganvas.commands.runs.changes", "Delete runs that have ended; for some days they can come back."),
    "undelete": ("ganvas.commands.runs.changes", "Bring deleted runs back."),
    "import": ("ganvas.exchange.commands", "Import runs of TensorBoard, W&B, trackio or MLflow."),
    "export": ("ganvas.exchange.commands", "Export runs to TensorBoard, CSV, Parquet, MLflow or HTML."),
    "share": ("ganvas.commands.runs.sharing", "Make, list and end read-only links for people without an account."),
    "token": ("ganvas.commands.access", "Make, list and revoke the service's tokens."),
    "secrets": ("ganvas.commands.access", "Make the passwords of a cluster's parts."),
    "backup": ("ganvas.commands.database", "Write everything that the service knows into a folder."),
    "restore": ("ganvas.commands.database", "Fill an empty service from such a folder."),
    "migrate": ("ganvas.commands.database", "Bring the database up to date and exit."),
    "doctor": ("ganvas.commands.doctor", "Check that everything is there, and say what to do."),
    "validate": ("ganvas.commands.specs.training", "Check a spec and show its networks' shapes."),
    "evaluate": ("ganvas.commands.specs.evaluate", "Measure the samples of a stored checkpoint."),
    "recipes": ("ganvas.commands.specs.recipes", "List the published experiments that ship, or show one."),
    "mcp": ("ganvas.commands.agents.command", "Serve runs to agents over the Model Context Protocol."),
    "completion": ("ganvas.commands.completion", "Let a shell complete commands, runs, recipes and fields."),
    "train": ("ganvas.commands.specs.training", "Train a spec right here, without any service."),
}


class LazyGroup(SuggestingGroup):
    """A group that imports a command only to run it, so that help is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order above."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        loaded: Any = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(loaded, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ganvas")
@click.pass_context
def cli(context: click.Context) -> None:
    """Ganvas is a laboratory for generative adversarial networks on small images."""
    if os.environ.get("NO_COLOR"):
        context.color = False


def main() -> None:
    """Run the command; print an expected error as one sentence and exit with status 1."""
    prepare_output()
    try:
        status = _run()
        # Here, not while Python ends, which would complain of a reader that has left.
        sys.stdout.flush()
    except BrokenPipeError:
        # As of a program that the signal ends: `ganvas list | head -1`.
        status = 141
    leave_closed_output()
    sys.exit(status)


def _run() -> Any:
    """Run the command and return the exit status; an expected error is printed."""
    from api.errors import ServiceError
    from ganlib.errors import GanlibError, Problem

    try:
        # A command that raises click's Exit makes this return the status; others return None.
        return cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        raise
    except ServiceError as error:
        click.echo(f"Error: {error.text}", err=True)
        # What the sentence says already is not said again.
        untold = [each for each in error.details.get("problems", []) if each["message"] not in error.text]
        for problem in untold:
            click.echo(f"  {Problem(problem['field'], problem['given'], problem['message'])}", err=True)
        return 1
    except GanlibError as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    except OSError as error:
        # Such as a folder that cannot be written, or a full disk.
        path = f": {error.filename}" if error.filename else ""
        click.echo(f"Error: {error.strerror or error}{path}", err=True)
        return 1
    except Exception as error:
        sentence = _describe_database_error(error)
        if sentence is None:
            raise
        click.echo(f"Error: {sentence}", err=True)
        return 1


def _describe_database_error(error: Exception) -> str | None:
    # Imported only by the commands that use a database.
    engine, errors = (sys.modules.get(name) for name in ("api.server.database.engine", "sqlalchemy.exc"))
    if engine is not None and isinstance(error, engine.TablesUnfit):
        return str(error)
    if errors is not None and isinstance(error, errors.OperationalError):
        return f"The database cannot be used: {str(error.orig).strip().splitlines()[0]}"
    return None


if __name__ == "__main__":
    main()
