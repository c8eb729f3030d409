"""Trains one run and keeps what its examiner saw: signals, findings and sample grids."""

import json
import time
from pathlib import Path
from typing import Any

import torch

from ganlib.datasets import LabelledImages
from ganlib.errors import GanlibError
from ganlib.events import Event, FindingReported, MetricsLogged, SampleGridSaved
from ganlib.spec.parse import parse_spec
from ganlib.trainer import train
from ganlib.training import data as training_data
from ganlib.vocabulary import SIGNALS

RESULT = "result.json"


def record(spec: dict[str, Any], folder: Path) -> None:
    """Train a spec in a folder and write its result there.

    Two keys are not the spec's own: `shuffled_labels` gives images the labels of others, `limit` leaves so many
    images.
    """
    spec = dict(spec)
    shuffled, limit = spec.pop("shuffled_labels", False), spec.pop("limit", None)
    points: list[tuple[int, dict[str, float]]] = []
    findings: list[dict[str, Any]] = []
    grids: list[tuple[int, str]] = []
    logged: dict[int, dict[str, float]] = {}

    def keep(event: Event) -> None:
        if isinstance(event, MetricsLogged):
            logged.setdefault(event.iteration, {}).update(event.values)
            if any(name.startswith(f"{SIGNALS}/") for name in event.values):
                points.append((event.iteration, logged[event.iteration]))
        elif isinstance(event, FindingReported):
            findings.append(event.model_dump(mode="json"))
        elif isinstance(event, SampleGridSaved):
            grids.append((event.iteration, event.file.path))

    parsed = parse_spec(spec)
    started, error = time.perf_counter(), ""
    # No name of that module by itself: it is where the trainer looks.
    name = "load_training"
    original = getattr(training_data, name)
    setattr(training_data, name, lambda wanted: _change(original(wanted), shuffled, limit))
    try:
        train(parsed, folder, keep, lambda: False)
    except GanlibError as raised:
        error = f"{type(raised).__name__}: {raised}"
    finally:
        setattr(training_data, name, original)
    result = {
        "spec": spec,
        "shuffled": shuffled,
        "limit": limit,
        "points": points,
        "findings": findings,
        "grids": grids,
        "error": error,
        "seconds": time.perf_counter() - started,
    }
    (folder / RESULT).write_text(json.dumps(result))


def _change(data: LabelledImages, shuffled: bool, limit: int | None) -> LabelledImages:
    if limit is not None:
        data = data.pick(torch.arange(limit))
    if not shuffled:
        return data
    order = torch.randperm(len(data.labels), generator=torch.Generator().manual_seed(1))
    return LabelledImages(data.images, data.labels[order], data.class_names, data.warnings, data.notes)
