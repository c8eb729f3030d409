"""Errors of the training library: each says what is wrong and what to do."""

from dataclasses import dataclass


class GanlibError(Exception):
    """Base of every error that ganlib raises on purpose."""

    code = "ganlib_error"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a spec.

    field: dotted path in the spec, such as `generator.layers.3.size`.
    given: what was written there, shortened, as text (it may be a value that JSON cannot hold).
    message: what is wrong and what is allowed.
    """

    field: str
    given: str
    message: str

    def __str__(self) -> str:
        given = f" (given: {self.given})" if self.given else ""
        return f"{self.field}: {self.message}{given}" if self.field else f"{self.message}{given}"


class SpecInvalid(GanlibError):
    """The spec cannot be trained; `problems` names each field."""

    code = "spec_invalid"

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("The spec is not valid.\n" + "\n".join(f"  {problem}" for problem in problems))


class ShapeMismatch(GanlibError):
    """Layers of a network do not fit each other, or its output does not fit the data.

    layer_index: which layer of the list, or None for the network as a whole.
    """

    code = "shape_mismatch"

    def __init__(self, message: str, layer_index: int | None = None) -> None:
        self.layer_index = layer_index
        super().__init__(message)


class DatasetUnavailable(GanlibError):
    """The data set is neither on disk nor can it be downloaded; the message says how to provide it."""

    code = "dataset_unavailable"


class ExtractorUnavailable(GanlibError):
    """The evaluation's feature extractor is not installed, or its weights are missing; the message says which."""

    code = "extractor_unavailable"


class DiskFull(GanlibError):
    """The disk has no room for a file that a run cannot go on without."""

    code = "disk_full"


class LabelBudgetInvalid(GanlibError):
    """The labels cannot be divided evenly among the classes; the message says how many can."""

    code = "label_budget_invalid"


class DeviceUnavailable(GanlibError):
    """The device that the spec asks for is not on this machine."""

    code = "device_unavailable"


class CompilationFailed(GanlibError):
    """torch.compile could not compile a network here; the message names what is missing."""

    code = "compilation_failed"


class NotShardable(GanlibError):
    """The run cannot be divided among these processes; the message says why."""

    code = "not_dealable"


class ProcessLost(GanlibError):
    """Another process of a run that several processes share has ended."""

    code = "process_lost"


class RunFolderTaken(GanlibError):
    """The folder holds another run, or files that are no run, or a run that is still training."""

    code = "run_folder_taken"


class CheckpointInvalid(GanlibError):
    """A checkpoint file is damaged, or belongs to another spec."""

    code = "checkpoint_invalid"


class DataChanged(GanlibError):
    """The training images are not those that the run began with; the message says what changed."""

    code = "data_changed"


class TrainingDiverged(GanlibError):
    """Losses or weights became NaN or infinite.

    iteration: the first whose numbers are not finite. player: the one that broke first, `generator` or
    `discriminator`; empty where that is not known.
    """

    code = "training_diverged"

    def __init__(self, message: str, iteration: int = 0, player: str = "") -> None:
        self.iteration = iteration
        self.player = player
        super().__init__(message)


class StoppedByFault(GanlibError):
    """A fault was found for which the run's spec says `stop`; iteration: the last one that was trained."""

    code = "stopped_by_fault"

    def __init__(self, message: str, iteration: int = 0) -> None:
        self.iteration = iteration
        super().__init__(message)


class OutOfMemory(GanlibError):
    """The memory of the machine or of the graphics card ran out; the message says what needs less."""

    code = "out_of_memory"
