"""`python -m tests.support.starter SOCKET`: starts services, workers, trainers and commands by forking.

It imports the product and torch once, uses neither, and forks for each request that comes through the socket:
four bytes of length and a JSON object, with the child's standard input, output and error beside them. It answers
with the child's process id and, when it has ended, its exit status. A child is a process of its own that a test
may kill. What it starts itself (a service its worker, a worker its trainer) is forked in turn, so that parents,
sessions, signals and exit statuses are those of processes that were executed. Only Linux can do all that.
"""

import atexit
import gc
import importlib
import json
import logging
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

LENGTH_BYTES = 4
# What children would load when they begin, and later when a run or a figure needs it.
PRELOADED = (
    "alembic.command", "celery", "uvicorn", "ganvas.app", "ganvas.commands.serve", "worker.loop.work_loop",
    "ganlib.trainer", "torch._dynamo", "torch.distributed.run", "sklearn.datasets", "PIL.PngImagePlugin",
    "dashboard.figures.drawing.curves", "dashboard.figures.drawing.timelines", "matplotlib.backends.backend_agg",
)  # fmt: skip
RunModule = Callable[[list[str]], object]


def import_everything() -> dict[str, RunModule]:
    """Import what children need; returns what runs each module."""
    for name in PRELOADED:
        importlib.import_module(name)
    import torch.distributed.run

    import ganvas.cli
    import worker.main
    from api.server.database.engine import build_engine, migrate
    from api.server.settings import Settings
    from dashboard.figures.drawing import __main__ as drawing
    from dashboard.web.rendering import build_environment
    from tests.ganlib.runtime import rank_runs
    from worker.trainer import process, torchrun

    templates = build_environment()
    for name in templates.list_templates(["html"]):
        templates.get_template(name)

    def migrate_home(arguments: list[str]) -> None:
        """Migrate the database of a folder; the word `done` in a file says that it went well."""
        home, done_path = map(Path, arguments)
        engine = build_engine(Settings(home=home))
        migrate(engine)
        engine.dispose()
        done_path.write_text("done", encoding="utf-8")

    return {
        "ganvas": lambda _: ganvas.cli.main(),
        "worker": lambda _: worker.main.main(),
        "worker.trainer.process": lambda arguments: leave_at_once(process.main(arguments)),
        "worker.trainer.torchrun": lambda arguments: sys.exit(torchrun.main(arguments)),
        "dashboard.figures.drawing": lambda _: sys.exit(drawing.main()),
        "torch.distributed.run": torch.distributed.run.main,
        "tests.ganlib.runtime.rank_runs": lambda _: rank_runs.main(),
        "tests.migrate": migrate_home,
    }


def leave_at_once(status: int) -> None:
    """End as the trainer's own last lines do."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


class Modules:
    """The modules that children run; they are loaded with the first request."""

    def __init__(self) -> None:
        self._runs: dict[str, RunModule] = {}

    def load(self) -> None:
        """Import them, once."""
        if not self._runs:
            # Before anything can keep the other one.
            subprocess.Popen = ForkingPopen  # type: ignore[misc]
            # Nothing that is imported is garbage.
            gc.disable()
            self._runs = import_everything()
            os.execv = self._execv  # type: ignore[assignment]
            # What is there by now stays in memory that all children share.
            gc.freeze()
            gc.enable()

    def split(self, command: list[str]) -> tuple[str, list[str]] | None:
        """Return module and arguments of `python [-u] -m MODULE …`, if it is one that can be forked."""
        words = [str(word) for word in command]
        if words[:1] != [sys.executable]:
            return None
        rest = words[2:] if words[1:2] == ["-u"] else words[1:]
        return (rest[1], rest[2:]) if rest[:1] == ["-m"] and rest[1] in self._runs else None

    def run(self, module: str, arguments: list[str]) -> int:
        """Run a module as its own program would, in this process; returns the exit status."""
        sys.argv = [module, *arguments]
        # What the system shows of its command line and environment is the starter's.
        name = "-".join(filter(None, [module.rpartition(".")[2], os.environ.get("RANK")]))
        Path("/proc/self/comm").write_text(name, encoding="utf-8")
        # Commands name themselves by it.
        sys.modules["__main__"].__package__ = None
        try:
            self._runs[module](arguments)
            status = 0
        except SystemExit as ended:
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
            status = 1 if isinstance(ended.code, str) else int(ended.code or 0)
        except BaseException:
            traceback.print_exc()
            status = 1
        with suppress(Exception):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
        return status

    def _execv(self, path: str, command: list[str]) -> None:
        found = self.split(command)
        if found is None:
            os.execve(path, command, os.environ)  # noqa: S606
            return
        become_fresh(dict(os.environ))
        os._exit(self.run(*found))


MODULES = Modules()


def become_fresh(environment: Mapping[str, str]) -> None:
    """Forget what the process was before the fork, as executing a program does."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    os.environ.clear()
    os.environ.update(environment)
    logging.captureWarnings(False)
    logging.root.handlers.clear()
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (
        open(number, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
        for number in (1, 2)
    )


def fork_into(
    run: Callable[[], int], descriptors: tuple[int, int, int], environment: Mapping[str, str], *, leads: bool
) -> int:
    """Fork a child with these standard streams; returns its id once it leads its session, if it is to."""
    ready, said = os.pipe()
    pid = os.fork()
    if pid:
        os.close(said)
        os.read(ready, 1)
        os.close(ready)
        return pid
    status = 1
    try:
        if leads:
            os.setsid()
        # Above the three, lest one is overwritten before it is read.
        for target, copy in enumerate([os.dup(each) for each in descriptors]):
            os.dup2(copy, target)
        os.write(said, b"1")
        become_fresh(environment)
        status = run()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class ForkingPopen(subprocess.Popen):  # type: ignore[type-arg]
    """Popen that forks what this process could run itself."""

    def _execute_child(self, args: Any, *others: Any) -> None:
        found = MODULES.split(list(args)) if isinstance(args, (list, tuple)) else None
        if found is None:
            super()._execute_child(args, *others)  # type: ignore[misc]
            return
        environment, pipes = others[5], others[9:15]
        streams = [pipes[0], pipes[3], pipes[5]]
        descriptors = [number if each == -1 else each for number, each in enumerate(streams)]
        run = lambda: MODULES.run(*found)  # noqa: E731 (bound to this one)
        leads = bool(others[20])
        self.pid = fork_into(run, tuple(descriptors), environment or dict(os.environ), leads=leads)  # type: ignore[arg-type]
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


class Server:
    """Takes requests and reports ends, one after the other in one thread."""

    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        self._woken, wakes = socket.socketpair()
        for end in (self._woken, wakes):
            end.setblocking(False)
        self._wakes = wakes
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        self._children: dict[int, socket.socket] = {}

    def serve(self) -> None:
        """Serve until this process is ended."""
        while True:
            connections = self._children.values()
            readable, _, _ = select.select([self._listener, self._woken, *connections], [], [])
            if self._woken in readable:
                with suppress(BlockingIOError):
                    self._woken.recv(4096)
                self._report_ends()
            for pid, connection in list(self._children.items()):
                # Nobody says anything there: whoever asked for this child has ended.
                if connection in readable:
                    del self._children[pid]
                    connection.close()
                    os.kill(pid, signal.SIGKILL)
            if self._listener in readable:
                connection, _ = self._listener.accept()
                self._start(connection)

    def _start(self, connection: socket.socket) -> None:
        head, descriptors, _, _ = socket.recv_fds(connection, LENGTH_BYTES, 3)
        length, body = int.from_bytes(head, "big"), b""
        while len(body) < length:
            body += connection.recv(length - len(body))
        order = json.loads(body)
        MODULES.load()
        own = os.getpid()
        pid = fork_into(
            lambda: run_order(order, own), tuple(descriptors), order["environment"], leads=order["leads"]
        )  # type: ignore[arg-type]
        for descriptor in descriptors:
            os.close(descriptor)
        self._children[pid] = connection
        connection.sendall(f"{pid}\n".encode())

    def _report_ends(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if connection := self._children.pop(pid, None):
                with suppress(OSError):
                    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
                connection.close()


def run_order(order: dict[str, Any], starter: int) -> int:
    """Run what a test asked for, in the child."""
    from worker.trainer.parent_death import end_with_parent

    end_with_parent(starter, signal.SIGKILL)
    os.chdir(order["folder"])
    if order["tampering"]:
        from tests.support.faults import tampering

        for name in order["tampering"]:
            tampering.apply(name)
    arguments = order["arguments"]
    if order["module"].startswith("worker.trainer."):
        # The supervisor is a test, and this starter its child.
        arguments[arguments.index("--parent") + 1] = str(starter)
    return MODULES.run(order["module"], arguments)


if __name__ == "__main__":
    # Under its importable name, so that what is replaced there is what children find.
    from tests.support import starter

    starter.Server(sys.argv[1]).serve()
