"""`python -m tests.support.faults.starter`: starts services in a tenth of a second each.

It imports the service once and forks for each line of standard input, a JSON object: `task` and what it needs.
Each child is a process of its own, with its own address, that a test may kill; the answer is its process id.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import alembic.command  # noqa: F401 (imported here once, not by each child)
import uvicorn  # noqa: F401

import ganvas.app
import ganvas.commands.serve
from api.server.database.engine import build_engine, migrate
from api.settings import Settings
from tests.support.faults import tampering
from worker.trainer.parent_death import end_with_parent


def serve(order: dict[str, Any]) -> None:
    """Run `ganvas up --no-worker`."""
    arguments = ["--no-worker", "--port", str(order["port"]), "--data-dir", order["home"]]
    ganvas.commands.serve.command.main(arguments, standalone_mode=False)


def bring_up_to_date(order: dict[str, Any]) -> None:
    """Migrate a database; the word `done` in `done_path` says that it went well."""
    engine = build_engine(Settings(home=Path(order["home"])))
    migrate(engine)
    engine.dispose()
    Path(order["done_path"]).write_text("done", encoding="utf-8")


TASKS: dict[str, Callable[[dict[str, Any]], None]] = {"serve": serve, "migrate": bring_up_to_date}


def main() -> None:
    """Fork once a line, until the test ends."""
    # Children are not waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    own = os.getpid()
    # Not an iteration: it would read ahead, and every child would hold what is still to come.
    while line := sys.stdin.readline():
        order = json.loads(line)
        if (pid := os.fork()) == 0:
            _run(order, own)
        print(pid, flush=True)


def _run(order: dict[str, Any], parent: int) -> None:
    status = 1
    try:
        end_with_parent(parent, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        log = os.open(order["log_path"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(descriptor, target)
        os.environ.update(order["environment"])
        for name in order["tampering"]:
            tampering.apply(name)
        TASKS[order["task"]](order)
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        if error := sys.exc_info()[1]:
            print(repr(error), file=sys.stderr, flush=True)
        os._exit(status)


if __name__ == "__main__":
    main()
