"""Supervises one claimed attempt from its checkpoint to its finish, and recovers attempts of dead workers.

While the lease cannot be renewed, training continues and events wait on disk. That is safe, because the service
fences every write of an attempt that lost its job, and it keeps jobs running while the service restarts: once it
is back, the attempt either delivers all that it recorded, or is fenced and its trainer killed.
"""

import logging
import time
from collections.abc import Callable

from api.attempts.schemas import ClaimRead, FinishPost, ResumePoint
from api.client.transport import is_temporary
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
from ganlib.runtime.files import is_disk_full
from worker.attempt.lease import Lease
from worker.attempt.reporter import Reporter
from worker.attempt.result import StopRequest, decide_finish, describe_failure
from worker.attempt.run_dir import RunDir, RunDirBusy, delete_run_dir, hold_run_dir, list_run_dirs, open_run_dir
from worker.settings import WorkerSettings
from worker.trainer.launcher import LaunchedTrainer

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.1
RETRY_TICKS = 10
DOWNLOAD_TRIES = 3
_NO_ROOM = Reason(
    code="disk_full", message="The worker's disk has no room for a job; free some space in its home folder."
)


class CheckpointUnreadable(Exception):
    """The checkpoint to resume from could not be fetched whole."""

    code = "checkpoint_unreadable"


class DeliveryGivenUp(Exception):
    """The worker must end while the service is away; the next start delivers the rest."""


def run_attempt(
    client: WorkerClient, claim: ClaimRead, settings: WorkerSettings, should_shut_down: Callable[[], bool]
) -> None:
    """Run one claimed attempt to its end; its requests carry the claim's own token."""
    with log_about(claim.job_id, claim.attempt), client.for_attempt(claim.token) as own:
        try:
            _run_in_folder(own, claim, settings, should_shut_down)
        except OSError as error:
            if not is_disk_full(error):
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
            logger.warning("the service is away; the next start delivers %s", run_dir.path)
            return
        delete_run_dir(run_dir)


class Supervisor:
    """Runs trainer and reporter of one attempt, and finishes it.

    should_shut_down: called several times a second; once true, the trainer writes a checkpoint and stops, and the
    job goes back to the queue.
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
        """Train, deliver and finish; raises AttemptFenced when the job was lost, or DeliveryGivenUp."""
        try:
            if resume is not None:
                self._fetch_checkpoint(resume)
        except CheckpointUnreadable as error:
            reason = describe_failure(error, self._run_dir.log_path)
            self._finish(FinishPost(end="failed", reason=reason, events_count=0))
            return
        self._reporter.start()
        try:
            status, stop_request = self._train()
            self._deliver_and_finish(status, stop_request)
        finally:
            self._reporter.abandon()

    def finish_recovered(self) -> None:
        """Deliver and finish an attempt whose worker died; the trainer's exit status is not known."""
        self._reporter.start()
        try:
            self._deliver_and_finish(status=None, stop_request=None)
        finally:
            self._reporter.abandon()

    def _deliver_and_finish(self, status: int | None, stop_request: StopRequest | None) -> None:
        """Deliver what the ended trainer left, then finish the attempt."""
        self._reporter.mark_spool_complete()
        while self._reporter.is_running:
            self._pause_for_delivery()
        if self._lease.is_lost:
            raise AttemptFenced
        count = self._reporter.delivered_count
        post = decide_finish(self._run_dir, status, stop_request, count)
        if (failure := self._reporter.failure) is not None:
            reason = describe_failure(failure, self._run_dir.log_path)
            post = FinishPost(end="failed", reason=reason, events_count=count)
        self._finish(post)

    def _train(self) -> tuple[int, StopRequest | None]:
        trainer = LaunchedTrainer(self._run_dir, self._settings.spool_max_bytes)
        try:
            stop_request = self._watch(trainer)
        finally:
            status = trainer.kill()
        return status, stop_request

    def _watch(self, trainer: LaunchedTrainer) -> StopRequest | None:
        """Wait until the trainer has ended or must be killed; return why it was asked to stop, if it was."""
        stop_request: StopRequest | None = None
        kill_at = float("inf")
        while trainer.find_status() is None and self._reporter.failure is None and time.monotonic() < kill_at:
            if stop_request is None and (stop_request := self._find_stop_request()) is not None:
                logger.info("the trainer is asked to stop: %s", stop_request)
                trainer.ask_to_stop()
                kill_at = time.monotonic() + self._settings.stop_seconds
            self._pause()
        return stop_request

    def _find_stop_request(self) -> StopRequest | None:
        if self._lease.cancel_requested:
            return "cancelled"
        return "preempted" if self._should_shut_down() else None

    def _fetch_checkpoint(self, resume: ResumePoint) -> None:
        logger.info("resuming from the checkpoint of iteration %d", resume.iteration)
        for tries_left in reversed(range(DOWNLOAD_TRIES)):
            try:
                self._retry(lambda: self._client.get_artifact(resume.sha256, self._run_dir.resume_path))
                return
            except (ArtifactRefused, ArtifactNotFound) as error:
                if tries_left == 0:
                    raise CheckpointUnreadable(
                        f"The checkpoint of iteration {resume.iteration:,} cannot be fetched whole: {error}"
                    ) from error

    def _finish(self, post: FinishPost) -> None:
        logger.info("job %s, attempt %d: %s", self._run_dir.job_id, self._run_dir.attempt, post.end)
        self._retry(lambda: self._client.finish(self._run_dir.job_id, self._run_dir.attempt, post))

    def _retry(self, call: Callable[[], object]) -> None:
        """Call until it succeeds or fails with an error that no retry can heal."""
        while True:
            try:
                call()
                return
            except ServiceError as error:
                if not is_temporary(error):
                    raise
                logger.warning("waiting for the service: %s", error)
            for _ in range(RETRY_TICKS):
                self._pause_for_delivery()

    def _pause(self) -> None:
        """Sleep a tick; raises AttemptFenced once the job is lost."""
        time.sleep(TICK_SECONDS)
        if self._lease.is_lost:
            raise AttemptFenced

    def _pause_for_delivery(self) -> None:
        """Sleep a tick; raises DeliveryGivenUp when a worker that shuts down has waited for too long."""
        self._pause()
        if self._give_up_at is None and self._should_shut_down():
            self._give_up_at = time.monotonic() + self._settings.delivery_seconds
        if self._give_up_at is not None and time.monotonic() > self._give_up_at:
            raise DeliveryGivenUp


def recover_attempts(client: WorkerClient, settings: WorkerSettings, should_shut_down: Callable[[], bool]) -> None:
    """Recover the attempts of dead workers from their run folders, then delete these; skips locked folders.

    If the lease of an attempt has not ended, its last events are delivered and it is finished, so that its job
    resumes now and not at the end of the lease. While the service is away, the folders are kept.
    """
    for run_dir in list_run_dirs(settings.attempts_dir):
        try:
            with hold_run_dir(run_dir):
                _recover(client, run_dir, settings, should_shut_down)
        except RunDirBusy:
            continue


def _recover(
    client: WorkerClient, run_dir: RunDir, settings: WorkerSettings, should_shut_down: Callable[[], bool]
) -> None:
    try:
        with client.for_attempt(run_dir.token_path.read_text(encoding="utf-8")) as own:
            answer = own.heartbeat(run_dir.job_id, run_dir.attempt)
            with Lease(own, run_dir, answer.lease_seconds) as lease:
                Supervisor(own, run_dir, lease, settings, should_shut_down).finish_recovered()
        logger.info("attempt %d of job %s is recovered and finished", run_dir.attempt, run_dir.job_id)
    except (AttemptFenced, JobNotFound, NotAuthenticated, FileNotFoundError):
        logger.info("attempt %d of job %s is over", run_dir.attempt, run_dir.job_id)
    except DeliveryGivenUp:
        return
    except ServiceError as error:
        logger.warning("%s cannot be recovered: %s", run_dir.path, error)
        if is_temporary(error):
            return
    delete_run_dir(run_dir)
