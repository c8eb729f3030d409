"""What the service's runs say of a spec that is not a job yet."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.server.database.models import Job
from api.server.specs.estimate import Pace
from ganlib.spec.job import JobSpec

# What an iteration takes does not depend on the rest, as on the seed or the learning rates.
PACE_FIELDS = (
    "dataset", "latents", "generator", "discriminator", "losses", "techniques", "discriminator_steps",
    "generator_advantage", "adaptive_advantage", "batch_size", "evaluation", "diagnosis", "device", "precision",
    "speed",
)  # fmt: skip
# Only the newest runs are looked at: this is asked while somebody types.
MOST_RUNS = 20


def find_pace(session: Session, spec: JobSpec) -> Pace | None:
    """Return the pace of the newest run that ended well in one attempt and trained what this spec trains."""
    wanted = spec.model_dump(mode="json", include=set(PACE_FIELDS))
    ended = (
        select(Job.name, Job.spec, Job.iteration, Job.started_at, Job.ended_at)
        .where(Job.state == "succeeded", Job.origin == "ganlib", Job.attempt == 1, Job.deleted_at.is_(None))
        .order_by(Job.id.desc())
        .limit(MOST_RUNS)
    )
    for name, known, iteration, started_at, ended_at in session.execute(ended):
        if iteration and started_at and ended_at and _iterates_alike(known, wanted):
            return Pace((ended_at - started_at).total_seconds() / iteration, name)
    return None


def _iterates_alike(known: dict[str, Any], wanted: dict[str, Any]) -> bool:
    # A field that came since has its default in one of the two alone; then nothing is known.
    return all(known.get(field) == value for field, value in wanted.items())
