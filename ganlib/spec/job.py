"""The job spec: everything that decides what a training run does, as data (no torch).

`ganlib.spec.parse` makes one from YAML or JSON and checks that its fields fit each other.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from ganlib.spec.fields import Count, Name, Natural, Section, Tag
from ganlib.spec.layers import LayerPath
from ganlib.spec.sections.datasets import DatasetSpec
from ganlib.spec.sections.diagnosis import DiagnosisSpec, Reaction
from ganlib.spec.sections.evaluation import EvaluationSpec, TransferSpec
from ganlib.spec.sections.execution import QueueSpec, RecipeSpec, SpeedSpec
from ganlib.spec.sections.losses import LossesSpec
from ganlib.spec.sections.networks import LatentsSpec, NetworkSpec
from ganlib.spec.sections.optimisers import AdaptiveAdvantageSpec, OptimisersSpec
from ganlib.techniques import TechniqueSpec

MAX_ITERATIONS = 10_000_000
MAX_HISTOGRAM_LAYERS = 8


class SamplesSpec(Section):
    """The sample grid: rows × columns images of the fixed latents."""

    rows: Annotated[Count, Field(le=32)] = 8
    columns: Annotated[Count, Field(le=32)] = 8


class JobSpec(Section):
    """One training run. Same spec and seed, same hardware, as many threads: same bytes."""

    name: Name
    description: Annotated[str, Field(max_length=4000)] = ""
    tags: Annotated[tuple[Tag, ...], Field(max_length=32)] = ()
    recipe: RecipeSpec | None = None
    queue: QueueSpec = QueueSpec()
    seed: Annotated[Natural, Field(le=2**63 - 1)] = 0
    dataset: DatasetSpec
    latents: LatentsSpec = LatentsSpec()
    generator: NetworkSpec
    discriminator: NetworkSpec
    losses: LossesSpec = LossesSpec()
    optimisers: OptimisersSpec = OptimisersSpec()
    techniques: Annotated[tuple[TechniqueSpec, ...], Field(max_length=32)] = ()
    discriminator_steps: Annotated[Count, Field(le=1000)] = 1
    generator_advantage: Annotated[Count, Field(le=1000)] = 1
    adaptive_advantage: AdaptiveAdvantageSpec | None = None
    iterations: Annotated[Count, Field(le=MAX_ITERATIONS)]
    batch_size: Annotated[Count, Field(ge=2, le=4096)] = 64
    log_every: Count = 10
    sample_every: Count = 100
    checkpoint_every: Count = 500
    histogram_every: Annotated[Count, Field(le=10_000)] | None = None
    histogram_layers: Annotated[tuple[LayerPath, ...], Field(max_length=MAX_HISTOGRAM_LAYERS)] = ()
    samples: SamplesSpec = SamplesSpec()
    evaluation: EvaluationSpec | None = None
    transfer: TransferSpec | None = None
    diagnosis: DiagnosisSpec = DiagnosisSpec()
    on: Annotated[dict[str, Reaction], Field(default_factory=dict)]
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    speed: SpeedSpec = SpeedSpec()

    @field_validator("dataset", mode="before")
    @classmethod
    def expand_dataset_name(cls, value: Any) -> Any:
        """Allow `dataset: mnist` for `dataset: {name: mnist}`."""
        return {"name": value} if isinstance(value, str) else value

    @field_validator("evaluation", mode="after")
    @classmethod
    def complete_evaluation(cls, value: EvaluationSpec | None, info: ValidationInfo) -> EvaluationSpec | None:
        """Measure what the data set can be measured by, where no metrics are given."""
        dataset = info.data.get("dataset")
        return value if value is None or dataset is None else value.complete(dataset)


# Fields that alter no weight and no image: a run may be resumed after they were changed.
FREE_FIELDS = {
    "name", "description", "tags", "recipe", "queue", "iterations", "log_every", "sample_every",
    "checkpoint_every", "histogram_every", "histogram_layers", "evaluation", "transfer",
    "diagnosis", "on",
}  # fmt: skip


def deciding_fields(spec: JobSpec) -> dict[str, Any]:
    """Return the fields that decide the bytes of weights and images, as JSON has them."""
    return spec.model_dump(mode="json", exclude=FREE_FIELDS)


def training_identity(spec: JobSpec) -> str:
    """Return the sha256 of the fields that decide the bytes of weights and images."""
    return hashlib.sha256(json.dumps(deciding_fields(spec), sort_keys=True).encode()).hexdigest()


def changed_fields(spec: JobSpec, changes: Mapping[str, Any]) -> JobSpec:
    """Return the spec with fields, by their path, changed; raises ValidationError."""
    data = spec.model_dump(mode="json")
    for path, value in changes.items():
        *parents, last = path.split(".")
        section = data
        for parent in parents:
            section = section[parent]
        section[last] = value
    return JobSpec.model_validate(data)
