"""The sender of one run: delivers, examines and samples until the loop has ended and all is delivered.

It is a process of its own, so that the loop shares neither its interpreter nor its death. The loop's end is that
of its pipe; a loop that did not close the run is then written down as failed.
"""

import json
import logging
import os
import random
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from api.client.transport import Transport, is_temporary
from api.errors import ServiceError
from ganlib.errors import GanlibError
from ganvas.address import default_home, read_service_url
from ganvas.tracking.folder import STOP, FolderBusy, RunFolder
from ganvas.tracking.sender.delivery import Delivery, hold_delivery
from ganvas.tracking.sender.diagnosis import Diagnosis
from ganvas.tracking.sender.position import DeliveryRefused
from ganvas.tracking.sender.system import SystemSampler, count_kernel_kills
from worker.machine.provenance import read_program_provenance

logger = logging.getLogger("ganvas.sender")

POLL_SECONDS = 0.1
# Numbers are posted at most this often.
BATCH_SECONDS = 0.25
EXAMINE_SECONDS = 0.25
SAMPLE_SECONDS = 10.0
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 0.25, 10.0
# After the loop's end: how long a service that is away is waited for, and the lock that the loop held.
DEFAULT_LINGER_SECONDS = 600.0
_LOCK_SECONDS = 10.0
_MOST_ASKED, _MOST_READ = 1000, 20_000


class Sender:
    """Delivers one run's folder beside its loop. say: tells the loop's process something, if it is still there."""

    def __init__(self, folder: RunFolder, options: dict[str, Any], say: Callable[[str, Any], None]) -> None:
        self._folder = folder
        self._options = options
        self._say = say
        self._header = folder.read_header()
        self._loop_is_gone = threading.Event()
        self._kills_before = count_kernel_kills()
        self._diagnosis = Diagnosis(folder, self._header, options.get("first_new", 0))
        self._sampler = SystemSampler(options["parent"])
        self._sampled_at = time.monotonic()
        # The writer of the folder after the loop's end.
        self._writer: RunFolder | None = None
        self._is_examined = threading.Event()
        # How the run ended, as the loop said it, and as it is reported.
        self._said_end: dict[str, Any] | None = None
        self._end: dict[str, Any] | None = None
        # What the loop's process was asked to write, and perhaps did not before its end.
        self._asked: deque[str] = deque(maxlen=_MOST_ASKED)
        # Since when no service answers, 0 while one does, and how long until it is asked again.
        self._away_since, self._backoff = 0.0, FIRST_BACKOFF_SECONDS

    def run(self) -> bool:
        """Deliver until the loop has ended and nothing is left; returns whether the service has everything."""
        threading.Thread(target=self._wait_for_loop, name="pipe", daemon=True).start()
        self._write_provenance()
        threading.Thread(target=self._examine_all, name="examiner", daemon=True).start()
        if self._options["mode"] == "offline":
            self._say("away", f"offline: the run is kept in {self._folder.path}")
            self._is_examined.wait()
            return False
        return self._deliver_all()

    def _wait_for_loop(self) -> None:
        """Wait for the end of the pipe; a loop that closed its run says how, in case no disk could take that."""
        said = sys.stdin.buffer.read()
        with suppress(ValueError):
            self._said_end = json.loads(said)
        self._loop_is_gone.set()

    def _write_provenance(self) -> None:
        if self._header.get("provenance"):
            return
        script = self._options.get("script")
        code = Path(script).parent if script else Path.cwd()
        found = read_program_provenance(code, self._options["argv"], self._options["modules"])
        self._header["provenance"] = found.model_dump(mode="json")
        with suppress(OSError):
            self._folder.write_header(self._header)

    # The examiner's thread.

    def _examine_all(self) -> None:
        try:
            while not self._loop_is_gone.wait(EXAMINE_SECONDS):
                self._examine()
            self._take_over()
        except Exception:
            logger.exception("the run is not examined any more")
            self._loop_is_gone.wait()
            with suppress(Exception):
                self._take_over()
        finally:
            if self._writer is not None:
                self._writer.close()
            self._is_examined.set()

    def _examine(self) -> None:
        for event in self._diagnosis.follow():
            self._add(event)
        if time.monotonic() - self._sampled_at >= SAMPLE_SECONDS and self._writer is None:
            self._sampled_at = time.monotonic()
            if values := self._sampler.sample():
                self._add({"kind": "metrics_logged", "iteration": self._diagnosis.step, "values": values})

    def _add(self, event: dict[str, Any]) -> None:
        """Have the loop's process write an event; after its end, write it here."""
        if self._writer is not None:
            self._writer.append(event)
        else:
            text = json.dumps(event)
            self._asked.append(text)
            self._say("event", text)

    def _take_over(self) -> None:
        """Examine what is left, and write how the run ended where its loop could not."""
        end = self._folder.read_end() or self._said_end
        self._writer = self._hold_folder()
        if self._writer is None:
            return
        # A disk that is full takes no more signals, but the run has an end.
        with suppress(OSError):
            self._write_rest(self._writer)
        end = end or {"end": "failed", "reason": self._explain_death(), "ended_at": None}
        count = self._writer.next_seq
        with suppress(OSError):
            if end.get("events_count") != count:
                self._writer.end(end["end"], end["reason"], end["ended_at"])
        self._end = (self._folder.read_end() or end) | {"events_count": count}

    def _write_rest(self, writer: RunFolder) -> None:
        """Write what the loop's process was asked to and did not, and examine what is left."""
        events = writer.read_events(max(0, writer.next_seq - _MOST_READ))
        written = {json.dumps(row["event"]) for row in events} if self._asked else set()
        for text in self._asked:
            if text not in written:
                writer.append(text)
        self._examine()

    def _hold_folder(self) -> RunFolder | None:
        """Take the loop's lock; None where another process goes on with the run."""
        give_up_at = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                return RunFolder.take_over(self._folder.path)
            except FolderBusy:
                if time.monotonic() > give_up_at:
                    return None
                time.sleep(POLL_SECONDS)

    def _explain_death(self) -> dict[str, str]:
        if count_kernel_kills() > self._kills_before:
            text = "The process was killed by the kernel because memory ran out."
        else:
            text = (
                "The process ended without closing the run: it was killed (SIGKILL, as by a queue or for its "
                "memory), crashed, or left by os._exit."
            )
        return {"code": "process_ended", "message": text}

    # The main thread.

    def _deliver_all(self) -> bool:
        while True:
            with hold_delivery(self._folder) as is_held:
                is_delivered = self._deliver_held() if is_held else None
            if is_delivered is not None:
                return is_delivered
            # Not held meanwhile: `ganvas sync`, or the sender of the process before, whose run goes on here.
            if is_held:
                self._pause(self._backoff * random.uniform(0.5, 1.0))  # noqa: S311
                self._backoff = min(2 * self._backoff, LAST_BACKOFF_SECONDS)
            else:
                time.sleep(POLL_SECONDS)

    def _deliver_held(self) -> bool | None:
        """Deliver for as long as the service answers; returns whether all is there, None where another try is due.

        The service is looked for anew at each try: one that was started since may have another port.
        """
        transport = Transport(os.environ.get("GANVAS_URL") or read_service_url(default_home()))
        delivery = Delivery(self._folder, transport, self._ask_to_stop)
        # Read before the folder, so that nothing written in between is missed.
        is_complete = self._is_examined.is_set()
        try:
            if is_complete and self._end is not None and self._is_there(delivery, self._end):
                return True
            while True:
                is_first = delivery.opened is None
                has_more = delivery.deliver_some()
                if delivery.opened is not None and (is_first or self._away_since):
                    self._say("url", delivery.opened.url)
                if is_complete and not has_more:
                    return self._finish(delivery)
                self._backoff, self._away_since = FIRST_BACKOFF_SECONDS, 0.0
                self._is_examined.wait(BATCH_SECONDS)
                is_complete = self._is_examined.is_set()
        except ServiceError as error:
            if not is_temporary(error):
                raise
            return self._wait_longer(error, is_complete)
        finally:
            delivery.close()
            transport.close()

    def _is_there(self, delivery: Delivery, end: dict[str, Any]) -> bool:
        """Whether a service has the whole run with its end already, as `ganvas sync` may have sent it."""
        opened = delivery.open(end["events_count"])
        if opened.is_whole and opened.state != end["end"]:
            opened = delivery.open()
        self._say("url", opened.url)
        return opened.is_whole

    def _wait_longer(self, error: ServiceError, is_complete: bool) -> bool | None:
        """Say once that the service is away; False where it is not waited for any longer."""
        if not self._away_since:
            self._away_since = time.monotonic()
            until = datetime.now() + timedelta(seconds=_linger_seconds())
            ends = f"; it is tried again until {until:%H:%M}, or `ganvas sync` sends them" if is_complete else ""
            logger.warning("events wait on disk: %s%s", error, ends)
            self._say("away", f"offline: {error} The run goes on, and is kept in {self._folder.path}.")
        has_waited = time.monotonic() - self._away_since > _linger_seconds()
        return False if is_complete and (has_waited or self._folder.is_written()) else None

    def wait_for_loop(self) -> None:
        """Wait until the loop has ended, and its end is written down."""
        self._is_examined.wait()

    def _pause(self, seconds: float) -> None:
        """Wait; a loop that has just ended is delivered at once."""
        if self._is_examined.is_set():
            time.sleep(min(seconds, 1.0))
        else:
            self._is_examined.wait(seconds)

    def _finish(self, delivery: Delivery) -> bool:
        if self._end is None:
            # Another process goes on with the run.
            return False
        delivery.finish(self._end)
        return True

    def _ask_to_stop(self) -> None:
        if not (self._folder.path / STOP).exists():
            with suppress(OSError):
                (self._folder.path / STOP).touch()
            self._say("stop", True)


def _linger_seconds() -> float:
    try:
        return float(os.environ["GANVAS_LINGER_SECONDS"])
    except (KeyError, ValueError):
        return DEFAULT_LINGER_SECONDS


def _say(what: str, value: Any) -> None:
    with suppress(OSError, ValueError):
        sys.stdout.write(json.dumps([what, value]) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Run the sender of the folder that the command names."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.ERROR)
    with suppress(OSError):
        os.nice(5)
    folder, options = RunFolder(sys.argv[1]), json.loads(sys.argv[2])
    sender = Sender(folder, options, _say)
    try:
        is_delivered = sender.run()
    except (DeliveryRefused, ServiceError, GanlibError) as error:
        logger.error("the run cannot be delivered: %s", error)
        _say("away", f"not delivered: {error} It is kept in {folder.path}.")
        sender.wait_for_loop()
        return
    if is_delivered:
        if not options["keep"]:
            shutil.rmtree(folder.path, ignore_errors=True)
        _say("done", True)


if __name__ == "__main__":
    main()
