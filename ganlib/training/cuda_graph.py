"""CUDA graphs, for `speed.cuda_graphs`: an iteration's updates are recorded once and then replayed as one piece.

The first iterations run as ever, on the stream that will record, so that all that torch sets up on first use is
there. What changes from one iteration to the next must lie in tensors: indices of images are copied into those
that were recorded, a scheduled learning rate is a tensor, and random generators are registered with the graph,
which moves them on as the same layers would. What techniques do after an iteration stays outside.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Protocol

import torch

from ganlib.errors import DeviceUnavailable
from ganlib.training.data import Chosen

if TYPE_CHECKING:
    from ganlib.training.step import StepResult

Update = Callable[[Sequence[Chosen]], "StepResult"]
WARM_UP = 3


class Recording(Protocol):
    """How a device records what a function does to it."""

    def warm_up(self, run: "Callable[[], StepResult]") -> "StepResult":
        """Run the function where it will be recorded."""

    def record(self, run: "Callable[[], StepResult]") -> "StepResult":
        """Record the function without computing; returns the tensors that each replay fills."""

    def replay(self) -> None:
        """Do again what was recorded."""


class StepGraph:
    """The updates of one iteration, which are the same work on other numbers each time."""

    _outputs: "StepResult | None" = None

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._warm_runs = 0
        self._chosen: list[Chosen] = []

    def run(self, update: Update, chosen: Sequence[Chosen]) -> "StepResult":
        """Update both players with the images that were chosen for the discriminator's updates."""
        if self._warm_runs < WARM_UP:
            self._warm_runs += 1
            return self._recording.warm_up(lambda: update(chosen))
        if self._outputs is None:
            self._chosen = [one.clone() for one in chosen]
            self._outputs = self._recording.record(lambda: update(self._chosen))
        for recorded, one in zip(self._chosen, chosen, strict=True):
            recorded.copy_(one)
        self._recording.replay()
        return _clone(self._outputs)


class CudaRecording:
    """A CUDA graph on a stream of its own."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._graph = torch.cuda.CUDAGraph()
        self._generators = generators

    def warm_up(self, run: "Callable[[], StepResult]") -> "StepResult":
        """Run the function on the graph's stream."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream), warnings.catch_warnings():
            # Optimisers that can be recorded say so when they are not.
            warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
            outputs = run()
        torch.cuda.current_stream().wait_stream(self._stream)
        return outputs

    def record(self, run: "Callable[[], StepResult]") -> "StepResult":
        """Record the function; other threads, such as the recorder's, may use the device meanwhile."""
        for generator in self._generators:
            self._graph.register_generator_state(generator)
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            return run()

    def replay(self) -> None:
        """Launch the graph on the current stream."""
        self._graph.replay()


def build_step_graph(device: torch.device, generators: Sequence[torch.Generator]) -> StepGraph:
    """Return a graph for a run on the device; generators: all it draws from but torch's own.

    Raises DeviceUnavailable where the device is no CUDA device.
    """
    if device.type != "cuda":
        raise DeviceUnavailable(
            "The spec asks for speed.cuda_graphs, but torch finds no CUDA device here; leave it out, or train "
            "on a machine that has one."
        )
    return StepGraph(CudaRecording(generators))


def _clone(result: "StepResult") -> "StepResult":
    """Copy the tensors, which the next replay overwrites."""
    tensors = {field.name: getattr(result, field.name) for field in fields(result)}
    return replace(result, **{name: tensor.clone() for name, tensor in tensors.items() if tensor is not None})
