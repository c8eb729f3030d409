"""The events that a trainer reports, as data (no torch). The same classes travel from trainer to service to page.

A worker numbers events by `seq` in its attempt; ganlib itself does not number them. Files are named by a
`StoredFile`: the trainer writes the file first and reports it afterwards.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    TypeAdapter,
    model_validator,
)

from ganlib.spec.storable import replace_unstorable

SHA256_PATTERN = r"^[0-9a-f]{64}$"
# Any text that is printed in one line, of at most 250 characters, as people name the numbers of their own loops.
METRIC_NAME_PATTERN = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,248}[^\s\x00-\x1f\x7f])?$"
MAX_METRIC_NAME = 250

Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
MetricName = Annotated[str, Field(pattern=METRIC_NAME_PATTERN)]
Iteration = Annotated[int, Field(ge=0, le=1_000_000_000)]

BIN_COUNT = 64
MAX_HISTOGRAMS = 32
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
ValueCount = Annotated[int, Field(ge=0, le=2**32 - 1)]

NamedFloat = Literal["nan", "inf", "-inf"]
_NAMED_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def _read_float(value: Any) -> Any:
    return _NAMED_FLOATS.get(value, value) if isinstance(value, str) else value


def show_float(value: float) -> float | NamedFloat:
    """Write NaN and infinities as the strings that valid JSON can hold: "nan", "inf", "-inf"."""
    if value != value:
        return "nan"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    return value


# A float that may be NaN or infinite; in JSON those three are strings.
MetricValue = Annotated[
    float,
    BeforeValidator(_read_float),
    PlainSerializer(show_float, return_type=float | str, when_used="json"),
]


def _refuse_path_tricks(path: str) -> str:
    is_elsewhere = path.startswith("/") or ".." in path.split("/") or path[1:2] == ":" or "\\" in path
    if is_elsewhere or not path.isprintable():
        raise ValueError("must be a path inside the run's folder")
    return path


def _replace_unstorable(text: Any) -> Any:
    return replace_unstorable(text) if isinstance(text, str) else text


# What programs print is kept, whatever it holds: a character that cannot be stored becomes U+FFFD.
PrintedText = Annotated[str, BeforeValidator(_replace_unstorable)]


def _check_file_name(name: str) -> str:
    parts = _refuse_path_tricks(name).split("/")
    if any(part in ("", ".") or part != part.strip() for part in parts):
        raise ValueError("must be names joined by /, none of them empty, a dot, or with blanks at its ends")
    return name


# A file's name in its run: never a path on the service's disk.
FileName = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_check_file_name)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class StoredFile(_Data):
    """A file that the trainer wrote: `path` relative to the run's folder, `size` in bytes."""

    path: Annotated[str, Field(max_length=200), AfterValidator(_refuse_path_tricks)]
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class TrainingStarted(_Data):
    """The trainer is ready to iterate; `iteration` is the one it resumes from (0 in a fresh run)."""

    kind: Literal["training_started"] = "training_started"
    iteration: Iteration
    iterations: Iteration
    device: Annotated[str, Field(max_length=200)]
    precision: Annotated[str, Field(max_length=32)]
    image_count: Annotated[int, Field(ge=0)]
    generator_parameters: Annotated[int, Field(ge=0)]
    discriminator_parameters: Annotated[int, Field(ge=0)]


class LatentsFixed(_Data):
    """The fixed latents are drawn (or read back) and stored; `sha256` of the file is their identity."""

    kind: Literal["latents_fixed"] = "latents_fixed"
    file: StoredFile
    count: Annotated[int, Field(ge=1)]
    latent_size: Annotated[int, Field(ge=1)]


class MetricsLogged(_Data):
    """Named numbers at one iteration; ganlib's are `group/name`: `loss/generator`, `speed/iterations_per_second`.

    Iterations may come in any order: of two values of one iteration the later one counts.
    """

    kind: Literal["metrics_logged"] = "metrics_logged"
    iteration: Iteration
    values: Annotated[dict[MetricName, MetricValue], Field(min_length=1, max_length=256)]


class _GridSaved(_Data):
    kind: str
    iteration: Iteration
    file: StoredFile
    rows: Annotated[int, Field(ge=1, le=256)]
    columns: Annotated[int, Field(ge=1, le=256)]
    cell_width: Annotated[int, Field(ge=1, le=4096)]
    cell_height: Annotated[int, Field(ge=1, le=4096)]
    latents_sha256: Sha256 | None


class SampleGridSaved(_GridSaved):
    """One PNG of rows × columns cells made from the fixed latents; cells are in latent order, row by row.

    latents_sha256: None where the latents are not known to be the same each time, so that cells cannot be compared
    one by one.
    """

    kind: Literal["sample_grid_saved"] = "sample_grid_saved"


class NeighbourGridSaved(_GridSaved):
    """One PNG laid out as the sample grid of its iteration: a cell is the training image nearest to that sample.

    Nearest is by L1, the mean difference of a pixel (Winkler, 2018, figure 5.2).
    """

    kind: Literal["neighbour_grid_saved"] = "neighbour_grid_saved"


class Histogram(_Data):
    """Counts of values in BIN_COUNT equal bins from `low` to `high`, both ends included.

    `not_finite` counts the NaN and infinite values, which are in none of them.
    """

    low: FiniteFloat
    high: FiniteFloat
    counts: Annotated[tuple[ValueCount, ...], Field(min_length=BIN_COUNT, max_length=BIN_COUNT)]
    not_finite: ValueCount = 0

    @model_validator(mode="after")
    def check_range(self) -> Self:
        """The bins must have a width."""
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self


class HistogramsLogged(_Data):
    """Named distributions, `group/name`, of values up to one iteration, or at it.

    `logits/real`, `logits/fake`: all logits since the last such event. `gradients/generator`,
    `gradients/discriminator`: log10 of the size of each weight's gradient. `layers/generator.1`,
    `layers/discriminator.1.real`: what a layer gives. `neighbours/l1`: each sample's distance to its nearest
    training image.
    """

    kind: Literal["histograms_logged"] = "histograms_logged"
    iteration: Iteration
    histograms: Annotated[dict[MetricName, Histogram], Field(min_length=1, max_length=MAX_HISTOGRAMS)]


class CheckpointSaved(_Data):
    """All that is needed to resume training exactly, after this iteration."""

    kind: Literal["checkpoint_saved"] = "checkpoint_saved"
    iteration: Iteration
    file: StoredFile


class FileSaved(_Data):
    """A file of the run under a name such as `checkpoints/000500.pt`; a later one of this name takes its place.

    A picture of a series has the name `images/<series>/<iteration, eight digits>.png`.
    """

    kind: Literal["file_saved"] = "file_saved"
    iteration: Iteration
    name: FileName
    file: StoredFile
    media_type: Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9.+-]+/[a-zA-Z0-9.+-]+$")] = (
        "application/octet-stream"
    )


class LineLogged(_Data):
    """One line for a person to read.

    about: `evaluation` where the line says by what the evaluation metrics are computed, `samples` where it says
    that cells of this iteration's grid are no images, so that a page can repeat it beside them; left out where it
    is None.
    """

    kind: Literal["line_logged"] = "line_logged"
    iteration: Iteration
    level: Literal["info", "warning", "error"] = "info"
    text: Annotated[PrintedText, Field(max_length=4000)]
    about: Annotated[
        Literal["evaluation", "data", "samples"] | None, Field(exclude_if=lambda about: about is None)
    ] = None


Severity = Literal["note", "warning", "serious"]
RULE_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
RuleName = Annotated[str, Field(pattern=RULE_PATTERN)]
Action = Literal["notify", "stop", "rollback"]


class FindingReported(_Data):
    """What a rule found: that a fault began, what has changed of it, or that it ended; `rule` and `since` name it.

    A later event of the same rule and the same `since` takes the place of an earlier one. iteration: the one that
    it was found, changed or ended at. since: the first iteration whose signals showed it. ended: the first one
    whose signals no longer did; None while it lasts. text: the fault in one line for a person, without its
    iterations. evidence: the signals that the rule judged by, as they were. action: what the spec says is done
    about it; with `rollback`, the iteration whose players took the place of the present ones, and the fields that
    were changed; the run's own iterations continue, and nothing that was recorded is replaced.
    """

    kind: Literal["finding_reported"] = "finding_reported"
    iteration: Iteration
    rule: RuleName
    since: Iteration
    ended: Iteration | None = None
    severity: Severity
    text: Annotated[PrintedText, Field(max_length=200)]
    evidence: Annotated[dict[MetricName, MetricValue], Field(max_length=32)]
    action: Action | None = None
    rolled_back_to: Iteration | None = None
    changes: Annotated[dict[str, JsonValue], Field(max_length=16)] = {}


class TrainingEnded(_Data):
    """The loop has ended; `completed` ran every iteration, `stopped` was asked to stop."""

    kind: Literal["training_ended"] = "training_ended"
    iteration: Iteration
    reason: Literal["completed", "stopped"]


Event = Annotated[
    TrainingStarted
    | LatentsFixed
    | MetricsLogged
    | SampleGridSaved
    | NeighbourGridSaved
    | HistogramsLogged
    | CheckpointSaved
    | FileSaved
    | LineLogged
    | FindingReported
    | TrainingEnded,
    Field(discriminator="kind"),
]

event_adapter: TypeAdapter[Event] = TypeAdapter(Event, config=ConfigDict(defer_build=True))
