"""The supervisor: one claimed attempt from its checkpoint to its finish.

When the lease cannot be renewed, training goes on and events wait on disk. That is safe, because the service
fences every write of an attempt that lost its job, and it is kind, because a service in a restart takes nobody's
job away: on its return the trainer is either welcome with all that it recorded, or fenced and killed.
"""

import logging
import time
from collections.abc import Callable

from api.client.transport import may_pass
from api.client.worker_client import WorkerClient
from api.errors import (
    ArtifactNotFound,
    ArtifactRefused,
    AttemptFenced,
    JobNotFound,
    NotAuthenticated,
    ServiceError,
)
from api.server.http.schemas import Reason
from api.server.operations.logging import log_about
from api.workers.schemas import ClaimRead, FinishPost, ResumePoint
from ganlib.runtime.files import is_no_room
from worker.attempt.lease import Lease
from worker.attempt.reporter import Reporter
from worker.attempt.result import Wish, decide_finish, describe_failure
from worker.attempt.run_dir import RunDir, RunDirBusy, delete_run_dir, hold_run_dir, list_run_dirs, open_run_dir
from worker.settings import WorkerSettings
from worker.trainer.launcher import TrainerHandle

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.1
RETRY_TICKS = 10
DOWNLOAD_TRIES = 3
_NO_ROOM = Reason(code="disk_full", message="The worker's disk has no room for a job; make some below its home.")


class CheckpointUnreadable(Exception):
    """The checkpoint to go on from could not be fetched whole."""

    code = "checkpoint_unreadable"


class DeliveryGivenUp(Exception):
    """The worker must end while the service is away; what is left is delivered after its next start."""


def run_attempt(
    client: WorkerClient, claim: ClaimRead, settings: WorkerSettings, should_shut_down: Callable[[], bool]
) -> None:
    """Run one claimed attempt to whatever end it comes to; its writes bring the claim's own token."""
    with log_about(claim.job_id, claim.attempt), client.of_attempt(claim.token) as own:
        try:
            _run_in_folder(own, claim, settings, should_shut_down)
        except OSError as error:
            if not is_no_room(error):
                raise
            logger.error("job %s, attempt %d: the disk is full: %s", claim.job_id, claim.attempt, error)
            delete_run_dir(
                RunDir(settings.attempts_dir / f"{claim.job_id}-{claim.attempt}", claim.job_id, claim.attempt)
            )
            own.finish(claim.job_id, claim.attempt, FinishPost(end="failed", reason=_NO_ROOM, events_count=0))


def _run_in_folder(
    own: WorkerClient, claim: ClaimRead, settings: WorkerSettings, should_shut_down: Callable[[], bool]
) -> None:
    with (
        open_run_dir(settings.attempts_dir, claim.job_id, claim.attempt, claim.spec, claim.token) as run_dir,
        Lease(own, run_dir, claim.lease_seconds) as lease,
    ):
        supervisor = Supervisor(own, run_dir, lease, settings, should_shut_down)
        try:
            supervisor.run(claim.resume)
        except AttemptFenced:
            logger.warning("job %s went to another attempt; attempt %d is over", claim.job_id, claim.attempt)
        except DeliveryGivenUp:
            logger.warning("the service is away; %s is left for the next start", run_dir.path)
            return
        delete_run_dir(run_dir)


class Supervisor:
    """Trainer, reporter and finish of one attempt.

    should_shut_down: asked several times a second; once true, the trainer is stopped with a checkpoint and the job
    goes back to the queue.
    """

    def __init__(
        self,
        client: WorkerClient,
        run_dir: RunDir,
        lease: Lease,
        settings: WorkerSettings,
        should_shut_down: Callable[[], bool],
    ) -> None:
        self._client = client
        self._run_dir = run_dir
        self._lease = lease
        self._settings = settings
        self._should_shut_down = should_shut_down
        self._reporter = Reporter(client, run_dir, lease)
        self._give_up_at: float | None = None

    def run(self, resume: ResumePoint | None) -> None:
        """Train, deliver and finish; raises AttemptFenced when the job was lost on the way, or DeliveryGivenUp."""
        try:
            if resume is not None:
                self._fetch_checkpoint(resume)
        except CheckpointUnreadable as error:
            reason = describe_failure(error, self._run_dir.log_path)
            self._finish(FinishPost(end="failed", reason=reason, events_count=0))
            return
        self._reporter.start()
        try:
            status, wish = self._train()
            self._settle(status, wish)
        finally:
            self._reporter.abandon()

    def settle_leftover(self) -> None:
        """Deliver and finish an attempt whose worker died; nobody saw how its trainer ended."""
        self._reporter.start()
        try:
            self._settle(status=None, wish=None)
        finally:
            self._reporter.abandon()

    def _settle(self, status: int | None, wish: Wish | None) -> None:
        """Deliver what the ended trainer left, and say how the attempt ended."""
        self._reporter.expect_no_more()
        while self._reporter.is_running:
            self._pause_for_delivery()
        if self._lease.is_lost:
            raise AttemptFenced
        count = self._reporter.delivered_count
        post = decide_finish(self._run_dir, status, wish, count)
        if (failure := self._reporter.failure) is not None:
            reason = describe_failure(failure, self._run_dir.log_path)
            post = FinishPost(end="failed", reason=reason, events_count=count)
        self._finish(post)

    def _train(self) -> tuple[int, Wish | None]:
        trainer = TrainerHandle(self._run_dir, self._settings.spool_max_bytes)
        try:
            wish = self._watch(trainer)
        finally:
            status = trainer.kill()
        return status, wish

    def _watch(self, trainer: TrainerHandle) -> Wish | None:
        """Return when the trainer has ended or must not go on, with what it was asked to stop for."""
        wish: Wish | None = None
        kill_at = float("inf")
        while trainer.find_status() is None and self._reporter.failure is None and time.monotonic() < kill_at:
            if wish is None and (wish := self._find_wish()) is not None:
                logger.info("the trainer is asked to stop: %s", wish)
                trainer.ask_to_stop()
                kill_at = time.monotonic() + self._settings.stop_seconds
            self._pause()
        return wish

    def _find_wish(self) -> Wish | None:
        if self._lease.cancel_requested:
            return "cancelled"
        return "preempted" if self._should_shut_down() else None

    def _fetch_checkpoint(self, resume: ResumePoint) -> None:
        logger.info("going on from the checkpoint of iteration %d", resume.iteration)
        for tries_left in reversed(range(DOWNLOAD_TRIES)):
            try:
                self._insist(lambda: self._client.get_artifact(resume.sha256, self._run_dir.resume_path))
                return
            except (ArtifactRefused, ArtifactNotFound) as error:
                if tries_left == 0:
                    raise CheckpointUnreadable(
                        f"The checkpoint of iteration {resume.iteration:,} cannot be fetched whole: {error}"
                    ) from error

    def _finish(self, post: FinishPost) -> None:
        logger.info("job %s, attempt %d: %s", self._run_dir.job_id, self._run_dir.attempt, post.end)
        self._insist(lambda: self._client.finish(self._run_dir.job_id, self._run_dir.attempt, post))

    def _insist(self, call: Callable[[], object]) -> None:
        """Call until it succeeds or fails for good."""
        while True:
            try:
                call()
                return
            except ServiceError as error:
                if not may_pass(error):
                    raise
                logger.warning("waiting for the service: %s", error)
            for _ in range(RETRY_TICKS):
                self._pause_for_delivery()

    def _pause(self) -> None:
        """Wait a moment; raises AttemptFenced once the job is lost."""
        time.sleep(TICK_SECONDS)
        if self._lease.is_lost:
            raise AttemptFenced

    def _pause_for_delivery(self) -> None:
        """Wait a moment, but a worker that shuts down does not wait for the service for long."""
        self._pause()
        if self._give_up_at is None and self._should_shut_down():
            self._give_up_at = time.monotonic() + self._settings.delivery_seconds
        if self._give_up_at is not None and time.monotonic() > self._give_up_at:
            raise DeliveryGivenUp


def settle_leftovers(client: WorkerClient, settings: WorkerSettings, should_shut_down: Callable[[], bool]) -> None:
    """Deliver what is still wanted of earlier attempts and delete the rest; folders of live workers stay alone.

    An attempt whose lease still runs gets its last events delivered and is finished, so that its job goes on now
    and not at the lease's end. A service that is away leaves the folders for later.
    """
    for run_dir in list_run_dirs(settings.attempts_dir):
        try:
            with hold_run_dir(run_dir):
                _settle(client, run_dir, settings, should_shut_down)
        except RunDirBusy:
            continue


def _settle(
    client: WorkerClient, run_dir: RunDir, settings: WorkerSettings, should_shut_down: Callable[[], bool]
) -> None:
    try:
        with client.of_attempt(run_dir.token_path.read_text(encoding="utf-8")) as own:
            answer = own.heartbeat(run_dir.job_id, run_dir.attempt)
            with Lease(own, run_dir, answer.lease_seconds) as lease:
                Supervisor(own, run_dir, lease, settings, should_shut_down).settle_leftover()
        logger.info("delivered what attempt %d of job %s had left", run_dir.attempt, run_dir.job_id)
    except (AttemptFenced, JobNotFound, NotAuthenticated, FileNotFoundError):
        logger.info("attempt %d of job %s is over", run_dir.attempt, run_dir.job_id)
    except DeliveryGivenUp:
        return
    except ServiceError as error:
        logger.warning("%s stays for later: %s", run_dir.path, error)
        if may_pass(error):
            return
    delete_run_dir(run_dir)
