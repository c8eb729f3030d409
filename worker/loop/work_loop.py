"""Claims and runs jobs until none is left; every wake-up does this."""

import logging
import time
from collections.abc import Callable

from api.attempts.schemas import ClaimRequest
from api.client.worker_client import WorkerClient
from api.errors import NotAllowed, NotAuthenticated, ServiceError
from worker.attempt.supervisor import recover_attempts, run_attempt
from worker.machine.devices import count_gpus, describe_shortage, list_devices, read_gpu_states
from worker.machine.provenance import read_provenance
from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)


class WorkLoop:
    """The worker of this process. It runs in the main thread: a trainer dies with the thread that started it.

    on_change: called when the worker has begun or ended a job.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        # A plain attribute: a signal handler sets it, and must not take a lock that this thread may hold.
        self.is_shutting_down = False
        # Told a second time: nothing waits for a checkpoint any more.
        self.is_interrupted = False
        # Job and attempt that this worker holds; read by the presence thread.
        self.held: tuple[str, int] | None = None
        # When it last began or ended a job, by the monotonic clock.
        self.idle_since = time.monotonic()
        # The error of a service that refuses this worker for good.
        self.refusal: ServiceError | None = None
        self._settings = settings
        self.on_change: Callable[[], None] = lambda: None

    def shut_down(self) -> None:
        """Stop the trainer with a checkpoint, put its job back into the queue, and claim nothing more."""
        self.is_shutting_down = True

    def run_until_empty(self) -> int:
        """Recover attempts of earlier workers, then run jobs until none is left for this one; return how many."""
        count = 0
        with WorkerClient(self._settings.url, self._settings.token) as client:
            try:
                recover_attempts(client, self._settings, lambda: self.is_shutting_down)
                while not self.is_shutting_down and self._run_one(client):
                    count += 1
            except (NotAuthenticated, NotAllowed) as error:
                self.refusal = error
                logger.error("the service refuses this worker: %s", error)
            except ServiceError as error:
                # The next wake-up tries again; a claimed job is requeued when its lease ends.
                logger.error("no job can be run now: %s", error)
            except Exception:
                # One failed job, or a full disk, must not end the worker.
                logger.exception("no job can be run now; the next look tries again")
        return count

    def _run_one(self, client: WorkerClient) -> bool:
        if shortage := describe_shortage(self._settings.attempts_dir):
            logger.error("this worker %s", shortage)
            return False
        memories = [gpu.memory_total for gpu in read_gpu_states()]
        request = ClaimRequest(
            worker=self._settings.worker_name,
            devices=list_devices(),
            gpus=self._settings.worker_gpus or count_gpus(),
            gpu_memory=max(memories, default=0),
            gpu_memory_each=min(memories, default=0),
            labels=list(self._settings.worker_labels),
            provenance=read_provenance(),
        )
        claim = client.claim_job(request)
        if claim is None:
            return False
        logger.info("claimed job %s, attempt %d", claim.job_id, claim.attempt)
        self._hold((claim.job_id, claim.attempt))
        try:
            run_attempt(client, claim, self._settings, lambda: self.is_shutting_down)
        finally:
            self._hold(None)
        return True

    def _hold(self, held: tuple[str, int] | None) -> None:
        self.held = held
        self.idle_since = time.monotonic()
        self.on_change()
