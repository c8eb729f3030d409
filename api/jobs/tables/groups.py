"""Jobs in groups of equal fields of their specs, each with means over its jobs, as over the seeds of a sweep."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.curves.best import JUDGES, read_bests
from api.curves.extractors import NEVER_COMPARED, list_judged, read_extractors, share_extractor
from api.curves.folding import measure
from api.errors import RequestInvalid
from api.jobs import queries, serializers
from api.jobs.filters import explain_no_match
from api.jobs.queries import JobFilters
from api.jobs.schemas import Average, GroupedJob, GroupRead, GroupsRead, JobSummary
from api.jobs.search import FieldComparison, MetricComparison, Term, is_metric, read_metric
from api.server.database.models import Job
from ganlib.spec.documents.differences import find_differences, show_value
from ganlib.spec.paths import CONFIG, NoSuchField, Step, resolve_field
from ganlib.vocabulary import CLASS_COVERAGE, Metric

# Groups jobs whose specs differ in nothing that decides what is trained, but for the seed.
SAME_SPEC = "spec"
_BESIDE_TRAINING = ("name", "description", "tags", "recipe", "queue", "seed")
MOST_JOBS, MOST_GROUPS = 2000, 200
MOST_FIELDS, MOST_METRICS = 3, 8
_MOST_DIFFERING = 5
# A group of one spec is called by so many fields that tell it from the others, or else by its newest job.
_MOST_NAMING = 3
_JOBS_AT_ONCE = 200


@dataclass(frozen=True)
class _Member:
    """A job of a group: its summary, and what of its spec decides how it is trained."""

    job: JobSummary
    spec: Mapping[str, Any]
    seed: int | None


def read_groups(
    session: Session, filters: JobFilters, by: Sequence[str], metrics: Sequence[str] = ()
) -> GroupsRead:
    """Return the newest jobs that meet the filters in groups; raises RequestInvalid.

    by: fields of the spec, or SAME_SPEC. metrics: whose newest values are averaged.
    """
    ways = {path: resolve_group(path) for path in dict.fromkeys(by)}
    names = [_check_metric(name) for name in dict.fromkeys(metrics)]
    queries.check_names(session, "-created_at", filters)
    conditions = queries.build_conditions(filters, session.get_bind().dialect.name)
    newest = select(Job).where(*conditions).order_by(Job.created_at.desc(), Job.id.desc()).limit(MOST_JOBS + 1)
    jobs = list(session.scalars(newest))
    # A note that is there for the jobs as they are, not for those left out.
    notes = (
        [f"The newest {MOST_JOBS:,} runs are grouped; a search chooses others."] if len(jobs) > MOST_JOBS else []
    )
    notes += _explain_unknown(session, ways, names)
    groups: dict[str, tuple[list[Any], list[_Member]]] = {}
    for member, spec in _read_members(session, jobs[:MOST_JOBS]):
        values = [read_value(spec, way) for way in ways.values()]
        groups.setdefault(json.dumps(values, sort_keys=True), (values, []))[1].append(member)
    found = sorted(groups.values(), key=lambda group: [_order(value) for value in group[0]])
    if len(found) > MOST_GROUPS:
        notes.append(f"The first {MOST_GROUPS} of {len(found):,} groups are shown; a search chooses others.")
    shown = found[:MOST_GROUPS]
    titles = _name_specs([members for _, members in shown]) if SAME_SPEC in ways else [""] * len(shown)
    judged = [member.job for _, members in shown for member in members if list_judged(member.job.latest)]
    extractors = read_extractors(session, [job.id for job in judged])
    scores = _read_scores(session, [members for _, members in shown])
    read = [
        _build_group(values, members, list(ways), title, names, _average_score(score, extractors))
        for (values, members), title, score in zip(shown, titles, scores, strict=True)
    ]
    return GroupsRead(by=list(ways), groups=read, notes=notes + _explain_extractors(scores, extractors))


def resolve_group(path: str) -> tuple[Step, ...] | None:
    """Return the steps to a field, or None for SAME_SPEC; raises RequestInvalid."""
    if path == SAME_SPEC:
        return None
    try:
        return resolve_field(path)
    except NoSuchField as error:
        message = f"{error}"
        raise RequestInvalid(
            f"Cannot group by {path[:80]}: {message}",
            problems=[{"field": "by", "given": path[:80], "message": message}],
        ) from None


def read_value(spec: Mapping[str, Any], way: tuple[Step, ...] | None) -> Any:
    """Return the value by which a job is grouped: that of a field, or a name for all that decides its training."""
    if way is not None:
        return queries.read_field(spec, way)
    text = json.dumps(_leave_training(spec), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def average(metric: str, values: Iterable[float]) -> Average | None:
    """Return mean and standard deviation (n - 1) of the finite ones of these values, None where there are none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    mean, deviation = measure(finite)
    return Average(metric=metric, count=len(finite), mean=mean, deviation=deviation)


def _check_metric(name: str) -> str:
    if is_metric(name) or is_metric(f'"{name}"'):
        return read_metric(name)
    message = f"write a metric's name, such as {CLASS_COVERAGE.name}"
    raise RequestInvalid(message, problems=[{"field": "metric", "given": name[:80], "message": message}])


def _leave_training(spec: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in spec.items() if name not in _BESIDE_TRAINING}
    # The settings of a loop of somebody's own.
    if isinstance(rest.get(CONFIG), Mapping):
        rest[CONFIG] = {name: value for name, value in rest[CONFIG].items() if name != "seed"}
    return rest


def _read_members(session: Session, jobs: Sequence[Job]) -> Iterable[tuple[_Member, Mapping[str, Any]]]:
    for start in range(0, len(jobs), _JOBS_AT_ONCE):
        some = jobs[start : start + _JOBS_AT_ONCE]
        for job, summary in zip(some, serializers.job_summaries(session, some), strict=True):
            yield _Member(summary, _leave_training(job.spec), serializers.read_seed(job)), job.spec


def _order(value: Any) -> tuple[int, float, str]:
    """Sort numbers as numbers, then texts and what else there is, and what is not set last."""
    if value is None:
        return 2, 0.0, ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, float(value), ""
    return 1, 0.0, show_value(value)


def _build_group(
    values: list[Any],
    members: Sequence[_Member],
    by: Sequence[str],
    title: str,
    metrics: Sequence[str],
    score: Average | None,
) -> GroupRead:
    shown = [title if path == SAME_SPEC else show_value(value) for path, value in zip(by, values, strict=True)]
    latest = [member.job.latest for member in members]
    averages = (average(name, (own[name].value for own in latest if name in own)) for name in metrics)
    return GroupRead(
        values=values,
        title=", ".join(shown),
        jobs=[
            GroupedJob(id=each.job.id, name=each.job.name, seed=each.seed, state=each.job.state)
            for each in members
        ],
        seeds=len({member.seed for member in members if member.seed is not None}),
        differing=_list_differing([member.spec for member in members], by)[:_MOST_DIFFERING],
        states=dict(Counter(member.job.state for member in members)),
        verdicts=dict(Counter(member.job.verdict.tone for member in members)),
        score=score,
        metrics=[each for each in averages if each is not None],
    )


def _list_differing(specs: Sequence[Mapping[str, Any]], by: Sequence[str]) -> list[str]:
    paths = (path for path, _ in find_differences("", list(specs)))
    return [path for path in paths if not any(_overlap(path, field) for field in by)]


def _overlap(path: str, field: str) -> bool:
    # Elements of lists are numbered in brackets in the one, and left out in the other.
    steps = [step.partition("[")[0] for step in path.split(".")]
    asked = [step for step in field.split(".") if not step.isdigit()]
    length = min(len(steps), len(asked))
    return steps[:length] == asked[:length]


def _name_specs(groups: Sequence[Sequence[_Member]]) -> list[str]:
    """Return what to call groups of one spec: the fields in which they differ, else their newest jobs' names."""
    firsts = [members[0] for members in groups]
    differences = find_differences("", [first.spec for first in firsts]) if len(firsts) > 1 else []
    if not 0 < len(differences) <= _MOST_NAMING:
        return [first.job.name for first in firsts]
    return [
        ", ".join(f"{path} {show_value(values[place])}" for path, values in differences)
        for place in range(len(firsts))
    ]


# What judges most jobs of a group, and the best value of each of them.
_Score = tuple[Metric, dict[str, float]]


def _read_scores(session: Session, groups: Sequence[Sequence[_Member]]) -> list[_Score | None]:
    judges = [_choose_judge(members) for members in groups]
    wanted = {
        member.job.id: judge
        for members, judge in zip(groups, judges, strict=True)
        for member in members
        if judge is not None and judge.name in member.job.latest
    }
    bests = read_bests(session, wanted)
    return [
        (judge, {each.job.id: bests[each.job.id][0] for each in members if each.job.id in bests})
        if judge
        else None
        for members, judge in zip(groups, judges, strict=True)
    ]


def _choose_judge(members: Sequence[_Member]) -> Metric | None:
    counts = [(sum(judge.name in each.job.latest for each in members), judge) for judge in JUDGES]
    # The first of those that judge equally many.
    most, judge = max(counts, key=lambda each: each[0])
    return judge if most else None


def _average_score(score: _Score | None, extractors: Mapping[str, Sequence[str]]) -> Average | None:
    if score is None or not _are_comparable([score], extractors):
        return None
    metric, values = score
    return average(metric.name, values.values())


def _are_comparable(scores: Sequence[_Score], extractors: Mapping[str, Sequence[str]]) -> bool:
    # Most jobs of a sweep say the same: each saying once.
    said = {tuple(extractors.get(job_id, ())) for _, values in scores for job_id in values}
    return share_extractor(list(said))


def _explain_extractors(scores: Sequence[_Score | None], extractors: Mapping[str, Sequence[str]]) -> list[str]:
    known = [score for score in scores if score is not None]
    if all(_are_comparable([score], extractors) for score in known):
        by_metric = {metric: [score for score in known if score[0] is metric] for metric in JUDGES}
        if all(_are_comparable(some, extractors) for some in by_metric.values()):
            return []
    return [f"Some of these runs were judged {NEVER_COMPARED}."]


def _explain_unknown(
    session: Session, ways: Mapping[str, tuple[Step, ...] | None], metrics: Sequence[str]
) -> list[str]:
    """Say which metric or setting no job has, with the nearest that there is."""
    terms: list[Term] = [
        FieldComparison(("spec", *way), "=", "", None) for way in ways.values() if way and way[0] == CONFIG
    ]
    terms += [MetricComparison(name, "=", 0.0) for name in metrics]
    return [note for term in terms if (note := explain_no_match(session, [term]))]
