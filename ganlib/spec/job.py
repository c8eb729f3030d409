"""The job spec: everything that decides what a training run does, checked before it runs (no torch).

`parse_spec` takes what YAML or JSON gave; `load_spec` reads a file. Both raise SpecInvalid, which names each
field, what was given and what is allowed.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from ganlib.errors import Problem, ShapeMismatch, SpecInvalid
from ganlib.spec.checks import find_label_problem, find_share_problem, find_speed_problem, find_transfer_problem
from ganlib.spec.fields import Count, Natural, Section
from ganlib.spec.files import read_spec_file
from ganlib.spec.layers import MinibatchDiscrimination, Norm
from ganlib.spec.parse import problems_of
from ganlib.spec.sections.datasets import DatasetSpec
from ganlib.spec.sections.evaluation import JUDGED_DATASETS, WITHOUT_JUDGE, EvaluationSpec, TransferSpec
from ganlib.spec.sections.execution import QueueSpec, RecipeSpec, SpeedSpec
from ganlib.spec.sections.losses import LossesSpec
from ganlib.spec.sections.networks import LatentsSpec, NetworkSpec
from ganlib.spec.sections.optimisers import POSITIVE_LOSSES, AdaptiveAdvantageSpec, OptimisersSpec
from ganlib.spec.sections.techniques import (
    FeatureMatchingSpec,
    GradientPenaltySpec,
    LabelSmoothingSpec,
    TechniqueSpec,
)
from ganlib.spec.shapes import Shape, count_parameters, output_shape, show_shape

MAX_ITERATIONS = 10_000_000
MAX_PARAMETERS = 500_000_000
MAX_GRID_PIXELS = 16_000_000
MAX_SAMPLE_GRIDS = 100_000
MAX_HISTOGRAM_EVENTS = 100_000

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,99}$")]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,49}$")]


class SamplesSpec(Section):
    """The sample grid: rows × columns images of the fixed latents."""

    rows: Annotated[Count, Field(le=32)] = 8
    columns: Annotated[Count, Field(le=32)] = 8


class JobSpec(Section):
    """One training run. Same spec and seed, same hardware: same bytes."""

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
    samples: SamplesSpec = SamplesSpec()
    evaluation: EvaluationSpec | None = None
    transfer: TransferSpec | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    speed: SpeedSpec = SpeedSpec()

    @field_validator("dataset", mode="before")
    @classmethod
    def expand_dataset_name(cls, value: Any) -> Any:
        """Allow `dataset: mnist` for `dataset: {name: mnist}`."""
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def check_labels(self) -> Self:
        """Whatever uses labels must fit the data set and each other."""
        problem = find_label_problem(self)
        if problem is not None:
            raise _problem(*problem)
        return self

    @model_validator(mode="after")
    def check_generator(self) -> Self:
        """The generator must turn latents into images of the data's shape."""
        _check_network(self, "generator", (self.latents.size,), self.dataset.shape, "the data set's images")
        return self

    @model_validator(mode="after")
    def check_discriminator(self) -> Self:
        """The discriminator must turn an image into what its losses are made for."""
        count = self.losses.output_count(self.dataset.class_count)
        meaning = "one logit" if self.losses.classes is None else f"classes: {{kind: {self.losses.classes.kind}}}"
        _check_network(self, "discriminator", self.dataset.shape, (count,), meaning)
        return self

    @model_validator(mode="after")
    def check_techniques(self) -> Self:
        """A technique must fit the loss and the discriminator."""
        for index, part in enumerate(self.techniques):
            if isinstance(part, LabelSmoothingSpec) and self.losses.discriminator != "minimax":
                raise _problem(
                    f"techniques.{index}",
                    "label_smoothing changes the targets of losses.discriminator: minimax; "
                    f"{self.losses.discriminator} has none",
                )
            if isinstance(part, GradientPenaltySpec):
                _refuse_batch_norm(self.discriminator)
            if isinstance(part, FeatureMatchingSpec):
                _check_feature_layer(f"techniques.{index}.layer", part.layer, len(self.discriminator.layers))
        return self

    @model_validator(mode="after")
    def check_rhythm(self) -> Self:
        """An adaptive advantage needs losses with a ratio, and the updates to itself."""
        if self.adaptive_advantage is None:
            return self
        if (self.discriminator_steps, self.generator_advantage) != (1, 1):
            raise _problem(
                "adaptive_advantage",
                "it sets both players' updates itself; leave out discriminator_steps and generator_advantage",
            )
        if self.losses.generator not in POSITIVE_LOSSES:
            raise _problem(
                "adaptive_advantage",
                f"it needs losses that stay above 0; allowed for losses.generator: {', '.join(POSITIVE_LOSSES)}",
            )
        return self

    @model_validator(mode="after")
    def check_grids(self) -> Self:
        """Grids must be few enough to keep and small enough to look at."""
        _, height, width = self.dataset.shape
        pixels = self.samples.rows * self.samples.columns * height * width
        if pixels > MAX_GRID_PIXELS:
            raise _problem("samples", f"a grid of {pixels:,} pixels is too large; at most {MAX_GRID_PIXELS:,}")
        grids = self.iterations // self.sample_every
        if grids > MAX_SAMPLE_GRIDS:
            raise _problem(
                "sample_every",
                f"{grids:,} grids would be kept; at most {MAX_SAMPLE_GRIDS:,}: raise sample_every",
            )
        return self

    @model_validator(mode="after")
    def check_histograms(self) -> Self:
        """Histograms must be few enough to keep."""
        events = self.iterations // (self.histogram_every or self.iterations)
        if events > MAX_HISTOGRAM_EVENTS:
            raise _problem(
                "histogram_every",
                f"{events:,} histograms would be kept; at most {MAX_HISTOGRAM_EVENTS:,}: raise histogram_every",
            )
        return self

    @model_validator(mode="after")
    def check_queue(self) -> Self:
        """Graphics cards are of no use to a job that trains on the CPU; several of them share each batch."""
        for field in ("gpu_memory_gib", "gpus"):
            if getattr(self.queue, field) is not None and self.device == "cpu":
                raise _problem(f"queue.{field}", "device: cpu uses no graphics card; leave one of the two out")
        processes = self.queue.gpus or 1
        problem = find_share_problem(self, processes) if processes > 1 else None
        if problem is not None:
            field, message = problem
            raise _problem("queue.gpus", f"a process on each card takes a share of the batch. {field}: {message}")
        return self

    @model_validator(mode="after")
    def check_evaluation(self) -> Self:
        """Samples can be judged where there is a judge of the data set; a neighbour grid needs its sample grid."""
        needs_judge = self.evaluation is not None and self.evaluation.needs_judge
        if needs_judge and self.dataset.name not in JUDGED_DATASETS:
            raise _problem(
                "evaluation",
                f"there is no judge of {self.dataset.name}; there are judges of: {', '.join(JUDGED_DATASETS)}. "
                f"Metrics that need none: {', '.join(sorted(WITHOUT_JUDGE))}",
            )
        wants_neighbours = self.evaluation is not None and self.evaluation.neighbour_grid
        if self.evaluation and wants_neighbours and self.evaluation.every % self.sample_every:
            raise _problem(
                "evaluation.every",
                "neighbour_grid stands beside the sample grid of its iteration, so this must be a multiple of "
                f"sample_every, {self.sample_every}",
            )
        return self

    @model_validator(mode="after")
    def check_transfer(self) -> Self:
        """A classifier's parts must fit each other, the images and their classes."""
        problem = find_transfer_problem(self)
        if problem is not None:
            raise _problem(*problem)
        return self

    @model_validator(mode="after")
    def check_speed(self) -> Self:
        """A step that is recorded once must be the same in each iteration."""
        problem = find_speed_problem(self)
        if problem is not None:
            raise _problem(*problem)
        return self


def parse_spec(data: Any) -> JobSpec:
    """Check what YAML or JSON gave and return the spec; raises SpecInvalid."""
    if not isinstance(data, dict):
        shown = type(data).__name__ if data is not None else "nothing"
        raise SpecInvalid([Problem("", shown, "a spec is a mapping of fields to values")])
    try:
        return JobSpec.model_validate(data)
    except ValidationError as error:
        raise SpecInvalid(problems_of(error)) from None


def load_spec(path: Path) -> JobSpec:
    """Read and check a YAML or JSON file; raises SpecInvalid."""
    return parse_spec(read_spec_file(path))


def _problem(field: str, message: str) -> ValueError:
    return ValueError(f"@{field}@{message}")


def _check_feature_layer(field: str, layer: int | None, layer_count: int) -> None:
    """Features come from a layer that there is, the last one before the output unless it is named."""
    if (-2 if layer is None else layer) not in range(-layer_count, layer_count):
        raise _problem(
            field, f"the discriminator's layers are counted from 0 to {layer_count - 1}; name one of them"
        )


def _refuse_batch_norm(discriminator: NetworkSpec) -> None:
    for index, layer in enumerate(discriminator.layers):
        batch_norm = isinstance(layer, Norm) and layer.kind != "virtual_batch"
        if batch_norm or isinstance(layer, MinibatchDiscrimination):
            raise _problem(
                f"discriminator.layers.{index}",
                f"{'batch norm' if batch_norm else layer.layer} makes an image's logit depend on the whole batch, "
                "but gradient_penalty bounds the slope at each image (Gulrajani et al., 2017, section 4); remove "
                "the layer or the technique",
            )


def _check_network(spec: JobSpec, player: str, given: Shape, wanted: Shape, meaning: str) -> None:
    layers = getattr(spec, player).layers
    try:
        output = output_shape(layers, given, spec.dataset.class_count)
        parameters = count_parameters(layers, given, spec.dataset.class_count)
    except ShapeMismatch as error:
        raise _problem(f"{player}.layers.{error.layer_index}", str(error)) from None
    if output != wanted:
        last = len(layers) - 1
        raise _problem(
            f"{player}.layers.{last}",
            f"the {player}'s output after layer {last} ({layers[last].layer}) is {show_shape(output)}, "
            f"but must be {show_shape(wanted)} ({meaning})",
        )
    if parameters > MAX_PARAMETERS:
        raise _problem(f"{player}.layers", f"{parameters:,} parameters are too many; at most {MAX_PARAMETERS:,}")


# Fields that alter no weight and no image: a run may go on when they were changed.
FREE_FIELDS = {
    "name", "description", "tags", "recipe", "queue", "iterations", "log_every", "sample_every",
    "checkpoint_every", "histogram_every", "evaluation", "transfer",
}  # fmt: skip


def training_identity(spec: JobSpec) -> str:
    """Return the sha256 of the fields that decide the bytes of weights and images."""
    deciding = spec.model_dump(mode="json", exclude=FREE_FIELDS)
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
