"""Run folders that a worker left behind when it died, or when it ended while the service was away."""

import logging
from collections.abc import Callable

from api.errors import AttemptFenced, JobNotFound, NotAuthenticated, ServiceError
from api.transport import may_pass
from api.worker_client import WorkerClient
from worker.lease import Lease
from worker.run_dir import RunDir, RunDirBusy, delete_run_dir, hold_run_dir, list_run_dirs
from worker.settings import WorkerSettings
from worker.supervisor import DeliveryGivenUp, Supervisor

logger = logging.getLogger(__name__)


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
