"""Words that a search of the list takes: what exists, to suggest it while one types and as the field's example."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.events.findings.schemas import VerdictTone
from api.jobs.queries import read_field
from api.jobs.schemas import JobSummary
from api.jobs.search import KEYS, FieldComparison, MetricComparison, Term, is_metric, read_metric, write_metric
from api.jobs.tables.rows import flatten
from api.server.database.models import GANLIB, Job, LatestValue
from api.server.http.schemas import JobState, Origin
from dashboard.web.layout import latest_value, write_tag_term
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.spec.paths import CONFIG, NoSuchField, list_fields, resolve_field
from ganlib.vocabulary import CLASS_COVERAGE, find_metric

# Runs whose tags, metrics and settings are suggested.
_READ_RUNS = 500
_MOST_VALUES = 50
_KEY_WORDS = {
    "name": "a part of the name",
    "tag": "a whole tag",
    "state": "queued, running, succeeded, failed, cancelled",
    "commit": "the commit's first digits",
    "recipe": "a paper",
    "from": "made from this run",
    "verdict": "how bad it is",
    "finding": "what was found",
    "origin": "who writes it",
}
Word = dict[str, str]


def read_words(session: Session) -> list[Word]:
    """Return what can be searched for: `word` as it is written, its `kind`, and what it is `about`."""
    newest = select(Job.id).where(Job.deleted_at.is_(None)).order_by(Job.created_at.desc()).limit(_READ_RUNS)
    ids = list(session.scalars(newest))
    return [
        *(_word(f"{key}:", "key", _KEY_WORDS[key]) for key in KEYS),
        *_list_tags(session, ids),
        *_list_metrics(session, ids),
        *(_word(name, "field", "a setting of a loop of one's own") for name in _list_settings(session, ids)),
        *(_word(field, "field", "a field of the spec") for field in list_fields()),
    ]


def read_values(session: Session, name: str) -> list[Word]:
    """Return the values that a key or a field can have, or has in the newest runs, the most frequent first."""
    known = {"state": get_args(JobState), "verdict": get_args(VerdictTone), "origin": get_args(Origin)}
    if name in known:
        return [_word(value, "value", "") for value in known[name]]
    if name == "finding":
        return [_word(rule, "value", "") for rule in RULES]
    try:
        steps = resolve_field(name)
    except NoSuchField:
        return []
    newest = select(Job.spec).where(Job.deleted_at.is_(None)).order_by(Job.created_at.desc()).limit(_READ_RUNS)
    counts = Counter(value for spec in session.scalars(newest) for value in _list_leaves(read_field(spec, steps)))
    return [_word(value, "value", _say_runs(count)) for value, count in counts.most_common(_MOST_VALUES)]


def _list_leaves(value: Any) -> set[str]:
    """Return a value as a comparison takes it; of a list, each element once."""
    if isinstance(value, list):
        return {leaf for part in value for leaf in _list_leaves(part)}
    if isinstance(value, bool):
        return {str(value).lower()}
    return {_quote(str(value))} if isinstance(value, str | int | float) and '"' not in str(value) else set()


def _quote(text: str) -> str:
    return f'"{text}"' if " " in text or not text else text


def _list_tags(session: Session, ids: Sequence[str]) -> Iterator[Word]:
    counts = Counter(tag for tags in session.scalars(select(Job.tags).where(Job.id.in_(ids))) for tag in tags)
    for tag, count in counts.most_common():
        yield _word(write_tag_term(tag), "tag", _say_runs(count))


def _list_metrics(session: Session, ids: Sequence[str]) -> Iterator[Word]:
    names = session.scalars(select(LatestValue.metric).where(LatestValue.job_id.in_(ids)).distinct())
    for name in sorted(names):
        yield _word(write_metric(name), "metric", find_metric(name).label)


def _list_settings(session: Session, ids: Sequence[str]) -> list[str]:
    specs = session.scalars(select(Job.spec).where(Job.id.in_(ids), Job.origin != GANLIB))
    return sorted({name for spec in specs for name in flatten(spec.get(CONFIG) or {}, CONFIG) if name != CONFIG})


def _say_runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _word(word: str, kind: str, about: str) -> Word:
    return {"word": word, "kind": kind, "about": about}


def choose_metric(jobs: Sequence[JobSummary]) -> str:
    """Return a metric that some of these runs have, a judged one if there is one, as searches write it."""
    had = dict.fromkeys(name for job in jobs for name in job.latest)
    judged = [name for name in had if find_metric(name).better]
    return write_metric(next(iter([*judged, *had]), CLASS_COVERAGE.name))


def write_example(jobs: Sequence[JobSummary]) -> str:
    """Return an example of a search for what these runs have: a tag, a field, a metric with a value."""
    tags = Counter(tag for job in jobs for tag in job.tags)
    tag = f"{write_tag_term(tags.most_common(1)[0][0])}, " if tags else ""
    metric = choose_metric(jobs)
    values = sorted(value for job in jobs if (value := latest_value(job, read_metric(metric))) is not None)
    limit = f"{values[len(values) // 2]:.2g}" if values else "0.5"
    return f"Name, {tag}losses.generator=hinge, {metric}<{limit}"


def name_columns(names: Sequence[str]) -> list[Term]:
    """Return terms that name the same metrics and settings as these columns do, for what no run has of them."""
    settings = [name for name in names if name.startswith(f"{CONFIG}.")]
    # What Ganvas itself measures may be a column before the first run has measured it.
    own = [read_metric(name) for name in names if is_metric(name) and not find_metric(read_metric(name)).better]
    terms: list[Term] = [MetricComparison(name, "=", 0.0) for name in own]
    return [*terms, *(FieldComparison(("spec", *resolve_field(name)), "=", "", None) for name in settings)]
