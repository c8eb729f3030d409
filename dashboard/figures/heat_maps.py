"""Plans figures of histograms over iterations: rows = runs, columns = real and generated images, or players."""

import hashlib
from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.curves.histograms import list_histogram_names
from api.errors import FigureRefused
from api.server.database.models import GANLIB, Job
from dashboard.figures.drawing.plans import HeatMapsPlan, HeatPanel, ImageForm, Page
from dashboard.figures.planning import PlannedFigure, describe_figure, find_jobs, label_runs, plan_figure
from dashboard.figures.requests import HeatMapsRequest
from dashboard.run.heat_maps import (
    Kind,
    choose_axis,
    choose_columns,
    draw_heat_map,
    first_iteration,
    list_kinds,
    list_own_kinds,
    read_heat_map,
)
from dashboard.run.requests import Window


def list_histogram_kinds(session: Session, jobs: Sequence[Job]) -> dict[str, Kind]:
    """Return the heat maps that some of these runs have, by the name by which they are asked for."""
    found: dict[str, Kind] = {}
    for job in jobs:
        names = set(list_histogram_names(session, job.id))
        kinds = list_kinds(job.spec) if job.origin == GANLIB else [*list_kinds({}), *list_own_kinds(sorted(names))]
        found |= {name_kind(kind): kind for kind in kinds if names & set(kind.names)}
    return found


def name_kind(kind: Kind) -> str:
    """Return the name by which a kind is asked for: the histogram's own where somebody's own loop named it."""
    return kind.names[0] if kind.is_own else kind.group


def plan_heat_maps(session: Session, asked: HeatMapsRequest, form: ImageForm) -> PlannedFigure:
    """Plan heat maps; raises JobNotFound and FigureRefused."""
    jobs = find_jobs(session, asked.run)
    kinds = list_histogram_kinds(session, jobs)
    kind = kinds.get(asked.values or next(iter(kinds), ""))
    if kind is None:
        there_are = f"there are: {', '.join(kinds)}" if kinds else "they have none"
        raise FigureRefused(f"None of these runs has histograms of {asked.values or 'any values'}; {there_are}.")
    read = [read_heat_map(session, job.id, kind, Window()) for job in jobs]
    drawn = [histogram for data in read for histogram in data.histograms if sum(histogram.counts)]
    if not drawn:
        raise FigureRefused(f"None of these runs has histograms of {kind.values} with a finite value.")
    # Runs share the axis of values, so that they can be compared.
    low, high = choose_axis(drawn, kind.has_zero)
    panels: list[HeatPanel] = []
    files: list[bytes] = []
    for row, data in enumerate(read):
        columns = choose_columns(data.iterations) if data.iterations else []
        for column, (name, _, word) in enumerate(kind.panels):
            own = [histogram for histogram in data.histograms if histogram.name == name]
            if not own:
                continue
            rows = draw_heat_map(own, columns, low, high)
            span = (first_iteration(data.iterations), data.iterations[-1])
            panels.append(HeatPanel(row, column, word, len(files), len(columns), len(rows), *span))
            files.append(b"".join(rows))
    about = describe_figure("Heat maps", "heat maps", jobs, [{"histograms": list(kind.names)} for _ in jobs])
    labels = tuple(label_runs(jobs, asked.labels, asked.label))
    plan = HeatMapsPlan(
        Page(form, asked.width, asked.dpi), about, labels, tuple(panels), len(kind.panels),
        kind.values, low, high, kind.is_power,
    )  # fmt: skip
    digests = [hashlib.sha256(data).hexdigest() for data in files]
    return plan_figure(plan, digests, lambda: files, "heat-maps", jobs)
