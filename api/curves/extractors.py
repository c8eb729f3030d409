"""By which feature extractor runs' evaluation metrics are: figures of different ones are never compared."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.server.database.models import LogLine
from ganlib.vocabulary import find_metric

NEVER_COMPARED = (
    "by different extractors, counts of samples or real images, and such figures are never compared; measure the "
    "runs again alike, by ganvas evaluate"
)


def list_judged(names: Iterable[str]) -> list[str]:
    """Return those of these metrics that an evaluation's extractor decides."""
    return [name for name in names if find_metric(name).answer]


def read_extractors(session: Session, job_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return for each job the sentences by which its trainers named extractor, samples and real images, each once.

    Several where a run went on by another extractor; none where nothing was said.
    """
    lines = select(LogLine.job_id, LogLine.text).where(LogLine.job_id.in_(job_ids), LogLine.about == "evaluation")
    found: dict[str, dict[str, None]] = {job_id: {} for job_id in job_ids}
    for job_id, text in session.execute(lines.order_by(LogLine.id)):
        found[job_id][text] = None
    return {job_id: list(texts) for job_id, texts in found.items()}


def share_extractor(extractors: Collection[Sequence[str]]) -> bool:
    """Return whether figures of these runs, each with its sentences, may stand side by side.

    A sentence of an earlier version, or of a run without real images, is the beginning of a later one.
    """
    return all(_agree(first, second) for first, second in combinations(extractors, 2))


def _agree(first: Sequence[str], second: Sequence[str]) -> bool:
    if not first or not second:
        return not first and not second
    both = [*first, *second]
    return all(one.startswith(other) or other.startswith(one) for one, other in combinations(both, 2))


def find_incomparable(session: Session, metrics: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return the runs' sentences where their judged metrics must not be compared, else nothing.

    metrics: the names of each job's metrics.
    """
    judged = [job_id for job_id, names in metrics.items() if list_judged(names)]
    found = read_extractors(session, judged) if len(judged) > 1 else {}
    return {} if share_extractor(list(found.values())) else found
