"""A worker tells the service what it is and what it does, so that people see who is there."""

import logging
import random
import threading
import time
from collections.abc import Callable

from api.client.transport import may_pass
from api.client.worker_client import WorkerClient
from api.errors import ServiceError
from api.workers.schemas import WorkerPost
from worker.machine.devices import count_gpus, describe_device, read_gpu_states
from worker.machine.git import find_checkout, is_dirty, read_commit
from worker.machine.provenance import read_own_version
from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)
TELL_EVERY_SECONDS = 15.0


class Registrar:
    """A thread that describes this worker every few seconds.

    find_held: returns job and attempt that the worker holds just now, or None.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        find_held: Callable[[], tuple[str, int] | None],
        every_seconds: float = TELL_EVERY_SECONDS,
    ) -> None:
        self._client = WorkerClient(settings.url, settings.token)
        self._name = settings.worker_name
        self._worker_gpus = settings.worker_gpus
        self._checkout, self._version = find_checkout(), read_own_version()
        self._find_held = find_held
        self._every_seconds = every_seconds
        self._stopping = False
        self._nudged = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registrar", daemon=True)

    def start(self) -> None:
        """Start the thread; it tells at once."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._stopping = True
        self._nudged.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self._client.close()

    def nudge(self) -> None:
        """Tell at once, from any thread: the worker has begun or ended a job."""
        self._nudged.set()

    def tell_once(self) -> None:
        """Describe this worker; a service that is away hears it the next time."""
        try:
            self.introduce()
        except ServiceError as error:
            logger.debug("the service did not hear of this worker: %s", error)

    def introduce(self) -> None:
        """Describe this worker; raises ServiceError when the service is away or refuses it."""
        held = self._find_held()
        self._client.describe_worker(
            WorkerPost(
                name=self._name,
                device=describe_device(),
                gpus=read_gpu_states(),
                gpu_count=self._worker_gpus or count_gpus(),
                # Read anew: a trainer that starts next runs what is checked out then.
                commit=read_commit(self._checkout),
                dirty=is_dirty(self._checkout),
                version=self._version,
                job_id=held[0] if held else None,
                attempt=held[1] if held else None,
            )
        )

    def _run(self) -> None:
        while not self._stopping:
            self._nudged.clear()
            try:
                self.tell_once()
            except Exception:
                logger.exception("describing this worker failed; it is tried again")
            self._nudged.wait(self._every_seconds)


RETRY_SECONDS = 3.0
_TICK_SECONDS = 0.2


def join(registrar: Registrar, settings: WorkerSettings, should_shut_down: Callable[[], bool]) -> bool:
    """Tell the service who is here until it hears, and print where this worker joined; False when it must end.

    Raises ServiceError when the service refuses it: a wrong token, or something else that answers there.
    """
    is_known = False
    while not should_shut_down():
        try:
            registrar.introduce()
        except ServiceError as error:
            if not may_pass(error):
                raise
            if not is_known:
                print(f"{error.text} Trying again until one answers.", flush=True)
            is_known = True
            # Many workers should not come back in step.
            pause(RETRY_SECONDS * random.uniform(0.75, 1.25), should_shut_down)  # noqa: S311
        else:
            print(describe_joining(settings), flush=True)
            return True
    return False


def describe_joining(settings: WorkerSettings) -> str:
    """Return where the worker joined, as whom, with what, and how it hears of jobs."""
    count = settings.worker_gpus or count_gpus()
    cards = f"{count} × " if count > 1 else ""
    hears = (
        "is woken by messages" if settings.has_broker else f"asks for jobs every {settings.poll_seconds:g} seconds"
    )
    return f"Joined {settings.url} as {settings.worker_name}, with {cards}{describe_device()}; it {hears}."


def pause(seconds: float, should_end: Callable[[], bool]) -> None:
    """Wait so long, or until it should end; a signal's handler sets a flag and no more, so this looks at it."""
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0 and not should_end():
        time.sleep(min(left, _TICK_SECONDS))
