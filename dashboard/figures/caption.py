"""A figure's caption in words, and the LaTeX that sets both."""

import re
from collections.abc import Sequence

from api.server.database.models import Job
from dashboard.figures.drawing.plans import TimelineRow
from dashboard.figures.requests import CurvesRequest
from dashboard.run.heat_maps import Kind
from dashboard.web.formats import show_count
from ganlib.vocabulary import find_metric

# In text, each of LaTeX's own signs.
_SIGNS = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip
# Runs that a caption names.
_MOST_NAMED = 6


def caption_timelines(jobs: Sequence[Job], iterations: Sequence[int], rows: Sequence[TimelineRow]) -> str:
    """Return what timelines show: runs, iterations, data, and what blank cells and other iterations mean."""
    columns = f"columns are iterations {_join([show_count(each) for each in iterations])}"
    if len(iterations) == 1:
        columns = f"at iteration {show_count(iterations[0])}"
    runs = f"Samples of {_name(jobs)}{'; rows are runs' if len(jobs) > 1 else ''}, {columns}."
    shots = [(shot, at) for row in rows for shot, at in zip(row.shots, iterations, strict=True)]
    notes = [
        _describe_latents(jobs),
        "Blank cells: the run had ended." if any("ended" in blank for row in rows for blank in row.blanks) else "",
        "Where a run has no grid at an iteration, the nearest earlier one is shown, and named below it."
        if any(shot and shot.iteration != at for shot, at in shots)
        else "",
    ]
    return " ".join(filter(None, [runs, _describe_data(jobs), *notes]))


def caption_curves(jobs: Sequence[Job], metrics: Sequence[str], asked: CurvesRequest) -> str:
    """Return what curves show: metrics, runs, data, and how they were smoothed and drawn."""
    labels = [find_metric(name).label for name in metrics]
    said = _join([labels[0], *(f"{label[:1].lower()}{label[1:]}" for label in labels[1:])]) if labels else "Curves"
    smoothed = (
        f"Exponential average of weight {asked.smoothing:g}, the measured values pale behind it."
        if asked.smoothing
        else ""
    )
    axes = [word for word, scale in (("iterations", asked.x), ("values", asked.y)) if scale == "log"]
    scales = f"Logarithmic axis of {_join(axes)}." if axes else ""
    return " ".join(
        filter(None, [f"{said} of {_name(jobs)} over iterations.", _describe_data(jobs), smoothed, scales])
    )


def caption_heat_maps(jobs: Sequence[Job], kind: Kind) -> str:
    """Return what heat maps show: values, runs, data, and what the shades mean."""
    sides = _join([word for _, _, word in kind.panels])
    of = f" of {sides}" if not kind.is_own else ""
    said = f"{kind.values.capitalize()}{of} over iterations, of {_name(jobs)}."
    return " ".join(filter(None, [said, "The darker, the larger the share of values.", _describe_data(jobs)]))


def write_latex(caption: str, stem: str, kind: str) -> str:
    """Return a figure environment for the PDF of this name."""
    label = re.sub(r"[^a-z0-9-]+", "-", stem.lower()).strip("-")
    return "\n".join([
        r"\begin{figure}[t]",
        r"  \centering",
        rf"  \includegraphics[width=\linewidth]{{{stem}.pdf}}",
        rf"  \caption{{{escape(caption)}}}",
        rf"  \label{{fig:{label or kind}}}",
        r"\end{figure}",
    ])  # fmt: skip


def escape(text: str) -> str:
    """Return the text so that LaTeX sets it as it is."""
    return "".join(_SIGNS.get(sign, sign) for sign in text)


def _describe_data(jobs: Sequence[Job]) -> str:
    sets = dict.fromkeys(str(name) for job in jobs if (name := _find_dataset(job)))
    return f"Data set{'s' if len(sets) > 1 else ''}: {_join(list(sets))}." if sets else ""


def _find_dataset(job: Job) -> object:
    said = job.spec.get("dataset") or (job.spec.get("config") or {}).get("dataset")
    return said.get("name") if isinstance(said, dict) else said


def _describe_latents(jobs: Sequence[Job]) -> str:
    latents = {job.latents_sha256 for job in jobs}
    if None in latents or "" in latents:
        return ""
    where = "in every row and column" if len(jobs) > 1 and len(latents) == 1 else "in every column"
    return f"A cell shows the same latents {where}."


def _name(jobs: Sequence[Job]) -> str:
    names = [job.name for job in jobs[:_MOST_NAMED]]
    more = len(jobs) - len(names)
    return _join([*names, f"{more} more"] if more else names)


def _join(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
