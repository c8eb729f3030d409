"""CUDA graphs, for `speed.cuda_graphs`: an iteration's updates are recorded once and then replayed as one piece.

The first iterations run as ever, on the stream that will record, so that all that torch sets up on first use is
there. Whatever changes from one iteration to the next must lie in tensors: indices of images are copied into those
that were recorded, a scheduled learning rate is a tensor, and random generators are registered with the graph,
which advances them as the same layers would. Techniques act after an iteration outside of the graph.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import torch

from ganlib.errors import DeviceUnavailable
from ganlib.training.data import BatchIndices

# A frozen dataclass whose fields are tensors, or None.
Result = TypeVar("Result")
WARM_UP = 3


class Recording(Protocol):
    """A device's way to record what a function does on it."""

    def warm_up(self, run: Callable[[], Result]) -> Result:
        """Run the function where it will be recorded."""

    def record(self, run: Callable[[], Result]) -> Result:
        """Record the function without computing; returns the tensors that each replay fills."""

    def replay(self) -> None:
        """Do again what was recorded."""


class StepGraph(Generic[Result]):
    """The updates of one iteration, which are the same work on other numbers each time; returns their results."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._warm_runs = 0
        self._recorded_batches: list[BatchIndices] = []
        self._outputs: Result | None = None

    def run(self, update: Callable[[Sequence[BatchIndices]], Result], batches: Sequence[BatchIndices]) -> Result:
        """Update both players with one batch of real images for each of the discriminator's updates."""
        if self._warm_runs < WARM_UP:
            self._warm_runs += 1
            return self._recording.warm_up(lambda: update(batches))
        if self._outputs is None:
            self._recorded_batches = [batch.clone() for batch in batches]
            self._outputs = self._recording.record(lambda: update(self._recorded_batches))
        for recorded, batch in zip(self._recorded_batches, batches, strict=True):
            recorded.copy_(batch)
        self._recording.replay()
        return _clone(self._outputs)


class CudaRecording:
    """A CUDA graph on a stream of its own."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._graph = torch.cuda.CUDAGraph()
        self._generators = generators

    def warm_up(self, run: Callable[[], Result]) -> Result:
        """Run the function on the graph's stream."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream), warnings.catch_warnings():
            # Optimisers that can be recorded say so when they are not.
            warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
            outputs = run()
        torch.cuda.current_stream().wait_stream(self._stream)
        return outputs

    def record(self, run: Callable[[], Result]) -> Result:
        """Record the function; other threads, such as the background writer's, may use the device meanwhile."""
        for generator in self._generators:
            self._graph.register_generator_state(generator)
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            return run()

    def replay(self) -> None:
        """Launch the graph on the current stream."""
        self._graph.replay()


def build_step_graph(device: torch.device, generators: Sequence[torch.Generator]) -> StepGraph[Any]:
    """Return a graph for a run on the device; generators: all it draws from but torch's own.

    Raises DeviceUnavailable where the device is no CUDA device.
    """
    if device.type != "cuda":
        raise DeviceUnavailable(
            "The spec asks for speed.cuda_graphs, but torch finds no CUDA device here; leave it out, or train "
            "on a machine that has one."
        )
    return StepGraph(CudaRecording(generators))


def _clone(result: Result) -> Result:
    """Copy the tensors, which the next replay overwrites."""
    if not is_dataclass(result) or isinstance(result, type):
        raise TypeError("Only results that are dataclasses can be replayed.")
    tensors = {field.name: getattr(result, field.name) for field in fields(result)}
    return replace(result, **{name: tensor.clone() for name, tensor in tensors.items() if tensor is not None})
