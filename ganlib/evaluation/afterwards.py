"""Evaluates a checkpoint after its training: the figures that the run itself logs at that iteration."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganlib.errors import CheckpointInvalid
from ganlib.evaluation.evaluator import SampleMeter
from ganlib.runtime.device import choose_device
from ganlib.runtime.failures import said_plainly
from ganlib.runtime.random_streams import reproducible_torch
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec
from ganlib.spec.sections.evaluation import EvaluationSpec
from ganlib.training.checkpoint import load_checkpoint, read_facts
from ganlib.training.state import build_state


@dataclass(frozen=True)
class Judgement:
    """Figures of one checkpoint, by name, and what they are by: only those of one `by` are compared.

    extractor: its name, empty where no metric needs one. real_count, real_digest: of the held-out images that
    samples were compared with, 0 and empty without.
    """

    iteration: int
    samples: int
    extractor: str
    real_count: int
    real_digest: str
    by: str
    notes: tuple[str, ...]
    values: dict[str, float]


def read_checkpoint_spec(path: Path) -> JobSpec:
    """Return the spec that a checkpoint names; what decides no weight is not in it. Raises CheckpointInvalid."""
    facts = read_facts(path)
    if "spec" not in facts:
        raise CheckpointInvalid(
            f"{path.name} is of a version that kept no spec in it; give the run's folder or job."
        )
    # The file's name may hold what no name of a run does.
    return parse_spec({**facts["spec"], "name": "checkpoint", "iterations": max(1, facts["iteration"])})


def evaluate_checkpoint(
    path: Path,
    spec: JobSpec,
    evaluation: EvaluationSpec,
    say: Callable[[str], None],
    device_name: Literal["auto", "cpu", "cuda"] | None = None,
) -> Judgement:
    """Measure the samples of a checkpoint's generator, by latents that follow from the spec's seed alone.

    On the same hardware the figures are those of the run. say gets a line while a classifier is trained.
    device_name: the spec's without it. Raises CheckpointInvalid, DataChanged, DatasetUnavailable,
    DeviceUnavailable, ExtractorUnavailable.
    """
    by: list[str] = []
    notes: list[str] = []

    def tell(
        text: str,
        about: Literal["evaluation", "data"] | None = None,
        level: Literal["info", "warning"] = "info",
    ) -> None:
        if about == "evaluation":
            by.append(text)
        elif level == "warning":
            notes.append(text)
        else:
            say(text)

    device = choose_device(device_name or spec.device)
    with said_plainly(), reproducible_torch(device):
        state = build_state(spec, device)
        notice = load_checkpoint(path, state)
        if notice:
            notes.append(notice)
        meter = SampleMeter(state, evaluation, tell)
        meter.prepare(lambda: False)
        values = meter.compute(meter.collect())
    return Judgement(
        iteration=state.iteration,
        samples=evaluation.samples,
        extractor=meter.extractor.name if meter.extractor else "",
        real_count=len(meter.real.features) if meter.real else 0,
        real_digest=meter.real.digest if meter.real else "",
        by=by[0] if by else "",
        notes=tuple(notes),
        values=values,
    )


def choose_evaluation(spec: JobSpec, changes: dict[str, Any]) -> EvaluationSpec:
    """Return the spec's evaluation, or the default one, with some fields changed; raises SpecInvalid.

    Where the extractor is changed and the metrics are not, they are those that it is best at.
    """
    own = spec.evaluation.model_dump(mode="json") if spec.evaluation else {"every": 1}
    if "extractor" in changes and "metrics" not in changes:
        own.pop("metrics", None)
    whole = spec.model_dump(mode="json") | {"evaluation": own | changes | {"neighbour_grid": False}}
    return parse_spec(whole).evaluation or EvaluationSpec(every=1)
