"""Registers this worker with the service, then reports its device, commit and job every few seconds."""

import logging
import random
import time
from collections.abc import Callable

from api.client.transport import is_temporary
from api.client.worker_client import WorkerClient
from api.errors import RequestInvalid, ServiceError
from api.workers.schemas import WorkerPost
from worker.loop.periodic import PeriodicThread
from worker.machine.cpu import CpuMeter
from worker.machine.devices import count_gpus, describe_device, describe_shortage, read_gpu_states
from worker.machine.git import find_checkout, is_dirty, read_commit
from worker.machine.provenance import read_own_version
from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)
POST_EVERY_SECONDS = 15.0
RETRY_SECONDS = 3.0
TICK_SECONDS = 0.2


class Presence:
    """A thread that posts this worker's description every few seconds.

    read_held: returns job and attempt that the worker holds at the moment, or None.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        read_held: Callable[[], tuple[str, int] | None],
        every_seconds: float = POST_EVERY_SECONDS,
    ) -> None:
        self._client = WorkerClient(settings.url, settings.token)
        self._name = settings.worker_name
        self._worker_gpus = settings.worker_gpus
        self._folder = settings.attempts_dir
        self._checkout, self._version = find_checkout(), read_own_version()
        self._read_held = read_held
        self._cpu = CpuMeter()
        self._tells_cpu = True
        self._thread = PeriodicThread("presence", self.try_post, every_seconds, at_once=True)

    def start(self) -> None:
        """Start the thread; it posts at once."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._thread.close()
        self._client.close()

    def post_soon(self) -> None:
        """Post without waiting, from any thread: the worker has begun or ended a job."""
        self._thread.call_soon()

    def try_post(self) -> None:
        """Post the description; if the service is away, the next post brings it."""
        try:
            self.post()
        except ServiceError as error:
            logger.debug("the description of this worker was not posted: %s", error)

    def post(self) -> None:
        """Post the description; raises ServiceError when the service is away or refuses this worker."""
        # Beside its device, where people look for who could take a run that waits.
        shortage = describe_shortage(self._folder)
        device = f"{describe_device()[:80]}, {shortage}" if shortage else describe_device()
        try:
            self._describe(device)
        except RequestInvalid:
            if not self._tells_cpu:
                raise
            # A service of an earlier version does not know this field.
            self._tells_cpu = False
            self._describe(device)

    def _describe(self, device: str) -> None:
        held = self._read_held()
        self._client.describe_worker(
            WorkerPost(
                name=self._name,
                device=device[:200],
                gpus=read_gpu_states(),
                gpu_count=self._worker_gpus or count_gpus(),
                cpu=self._cpu.measure() if self._tells_cpu else None,
                # Read anew: the next trainer runs what is checked out then.
                commit=read_commit(self._checkout),
                dirty=is_dirty(self._checkout),
                version=self._version,
                job_id=held[0] if held else None,
                attempt=held[1] if held else None,
            )
        )


def register(presence: Presence, settings: WorkerSettings, should_shut_down: Callable[[], bool]) -> bool:
    """Post the description until the service takes it, and print a line; False if the worker must end before.

    Raises ServiceError when the service refuses the worker: a wrong token, or another program at that address.
    """
    has_printed = False
    while not should_shut_down():
        try:
            presence.post()
        except ServiceError as error:
            if not is_temporary(error):
                raise
            if not has_printed:
                print(f"{error.text} Trying again until one answers.", flush=True)
            has_printed = True
            # Spread, so that many workers do not retry in step.
            pause(RETRY_SECONDS * random.uniform(0.75, 1.25), should_shut_down)  # noqa: S311
        else:
            print(describe_registration(settings), flush=True)
            return True
    return False


def describe_registration(settings: WorkerSettings) -> str:
    """Return a sentence with the service's address, this worker's name and device, and how it finds jobs."""
    count = settings.worker_gpus or count_gpus()
    cards = f"{count} × " if count > 1 else ""
    finds_jobs = (
        "is woken by messages" if settings.has_broker else f"asks for jobs every {settings.poll_seconds:g} seconds"
    )
    return f"Joined {settings.url} as {settings.worker_name}, with {cards}{describe_device()}; it {finds_jobs}."


def pause(seconds: float, should_end: Callable[[], bool]) -> None:
    """Wait, but no longer than until it should end: a signal's handler only sets a flag, so this polls it."""
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0 and not should_end():
        time.sleep(min(left, TICK_SECONDS))
