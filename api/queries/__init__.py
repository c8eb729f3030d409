"""Every read and write of the database: plain functions, session first, no commit inside."""

from api.queries.artifacts import (
    delete_unused_artifact,
    find_resumed_checkpoint,
    get_artifact,
    insert_artifact,
    list_orphans,
)
from api.queries.attempts import Claimed, claim_job, finish_attempt
from api.queries.batches import Batch, list_batch_ids, list_batches, list_changed_jobs
from api.queries.curves import CurveWindow, read_curves, read_stored_curves
from api.queries.demand import NEEDS, Demand, choose_demand, list_demand
from api.queries.diffs import get_diff
from api.queries.events import Accepted, insert_events
from api.queries.histograms import list_histograms
from api.queries.holding import renew_lease
from api.queries.jobs import (
    cancel_job,
    count_attempt_ends,
    count_states,
    find_job,
    get_job,
    insert_job,
    list_jobs_by_id,
)
from api.queries.keeping import delete_job, edit_job, list_purged, purge_job, restore_job
from api.queries.listing import JobFilters, list_jobs, read_spec_fields
from api.queries.outlines import read_outlines
from api.queries.reaping import Waiting, count_waiting, list_lost_jobs, reap_job
from api.queries.retrying import retry_job
from api.queries.settled import find_settled_event_id
from api.queries.sorting import JOB_SORTS, SORT_PATTERN, JobSort, check_sort
from api.queries.timeline import (
    list_attempts,
    list_checkpoints,
    list_log_lines,
    list_neighbour_grids,
    list_samples,
)
from api.queries.tokens import (
    delete_login,
    find_attempt_of_token,
    find_live_token,
    find_login,
    has_tokens,
    insert_login,
    insert_token,
    is_use_noted,
    list_tokens,
    note_use,
    revoke_token,
)
from api.queries.views import (
    artifact_url,
    attempt_read,
    checkpoint_read,
    job_read,
    job_summaries,
    job_summary,
    log_line_read,
    sample_read,
)
from api.queries.workers import list_workers, record_worker

__all__ = [
    "JOB_SORTS",
    "NEEDS",
    "SORT_PATTERN",
    "Accepted",
    "Batch",
    "Claimed",
    "CurveWindow",
    "Demand",
    "JobFilters",
    "JobSort",
    "Waiting",
    "artifact_url",
    "attempt_read",
    "cancel_job",
    "check_sort",
    "checkpoint_read",
    "choose_demand",
    "claim_job",
    "count_attempt_ends",
    "count_states",
    "count_waiting",
    "delete_job",
    "delete_login",
    "delete_unused_artifact",
    "edit_job",
    "find_attempt_of_token",
    "find_job",
    "find_live_token",
    "find_login",
    "find_resumed_checkpoint",
    "find_settled_event_id",
    "finish_attempt",
    "get_artifact",
    "get_diff",
    "get_job",
    "has_tokens",
    "insert_artifact",
    "insert_events",
    "insert_job",
    "insert_login",
    "insert_token",
    "is_use_noted",
    "job_read",
    "job_summaries",
    "job_summary",
    "list_attempts",
    "list_batch_ids",
    "list_batches",
    "list_changed_jobs",
    "list_checkpoints",
    "list_demand",
    "list_histograms",
    "list_jobs",
    "list_jobs_by_id",
    "list_log_lines",
    "list_lost_jobs",
    "list_neighbour_grids",
    "list_orphans",
    "list_purged",
    "list_samples",
    "list_tokens",
    "list_workers",
    "log_line_read",
    "note_use",
    "purge_job",
    "read_curves",
    "read_outlines",
    "read_spec_fields",
    "read_stored_curves",
    "reap_job",
    "record_worker",
    "renew_lease",
    "restore_job",
    "retry_job",
    "revoke_token",
    "sample_read",
]
