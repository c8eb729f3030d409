"""What a figure calls its runs: by name, by what their specs differ in, by id, or as its reader says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from api.server.database.models import Job

MAX_CHANGES = 4
# What tells people apart, not experiments.
_NAMES = ("name", "description", "tags")
_NOTHING = "none"


def label_runs(jobs: Sequence[Job], labelling: str, given: Mapping[str, str]) -> list[str]:
    """Return a label for each run, of one or more lines; one that is given for its id wins."""
    match labelling:
        case "name":
            labels = _distinct_names(jobs)
        case "changes":
            labels = describe_changes(jobs)
        case "id":
            labels = [job.id for job in jobs]
        case _:
            labels = ["" for _ in jobs]
    return [given.get(job.id, "").strip() or label for job, label in zip(jobs, labels, strict=True)]


def describe_changes(jobs: Sequence[Job]) -> list[str]:
    """Return the fields in which the runs' specs differ, a line each: `learning_rate 0.0002`.

    Runs whose specs are alike in all but their names keep these.
    """
    flat = [flatten_spec(job.spec) for job in jobs]
    paths = list(dict.fromkeys(path for fields in flat for path in fields))
    changed = [path for path in paths if len({repr(fields.get(path)) for fields in flat}) > 1]
    if not changed:
        return _distinct_names(jobs)
    words = shorten_paths(changed)
    labels = []
    for fields in flat:
        lines = [f"{words[path]} {show_value(fields.get(path))}" for path in changed[:MAX_CHANGES]]
        more = len(changed) - MAX_CHANGES
        labels.append("\n".join([*lines, f"and {more} more"] if more > 0 else lines))
    return labels


def flatten_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec's values by dotted path, without names; a list is one value."""
    flat: dict[str, Any] = {}

    def add(path: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, below in value.items():
                add(f"{path}.{name}" if path else name, below)
        elif path not in _NAMES:
            flat[path] = value

    add("", spec)
    return flat


def shorten_paths(paths: Sequence[str]) -> dict[str, str]:
    """Return each path's end, as long as it must be to be told from the others' ends."""
    short = {}
    for path in paths:
        parts = path.split(".")
        ends = [".".join(parts[-length:]) for length in range(1, len(parts) + 1)]
        others = [other for other in paths if other != path]
        short[path] = next(
            (end for end in ends if not any(other == end or other.endswith(f".{end}") for other in others)), path
        )
    return short


def show_value(value: Any) -> str:
    """Return a spec's value in a word or two; a list by its names, or by its length."""
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    if not isinstance(value, list):
        return str(value)
    names = [_name_of(item) for item in value]
    return (", ".join(names) or _NOTHING) if len(names) <= 3 else f"({len(names)})"


def _name_of(item: Any) -> str:
    if isinstance(item, Mapping):
        return str(next((item[key] for key in ("technique", "layer", "name", "kind") if key in item), len(item)))
    return str(item)


def _distinct_names(jobs: Sequence[Job]) -> list[str]:
    counts = Counter(job.name for job in jobs)
    return [job.name if counts[job.name] == 1 else f"{job.name}\n{job.id}" for job in jobs]
