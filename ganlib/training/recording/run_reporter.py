"""What a run reports, and where its files lie: latents, sample grids, checkpoints.

Each method only copies tensors, on the device, and queues the rest: reading numbers back, PNG, hashes and files
are made on the recorder's thread.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from torch import Tensor, nn

from ganlib.errors import DiskFull, TrainingDiverged
from ganlib.evaluation.metrics.neighbours import NeighbourSearch
from ganlib.events import (
    CheckpointSaved,
    Event,
    HistogramsLogged,
    LatentsFixed,
    LineLogged,
    MetricsLogged,
    NeighbourGridSaved,
    SampleGridSaved,
    StoredFile,
    TrainingEnded,
    TrainingStarted,
)
from ganlib.runtime.device import describe_device
from ganlib.runtime.files import is_no_room, store_file
from ganlib.training.checkpoint import Snapshot, checkpoint_bytes, estimate_bytes, take_snapshot, write_checkpoint
from ganlib.training.recording.background_writer import Recorder
from ganlib.training.recording.disk_reserve import KeptRoom
from ganlib.training.recording.histograms import count_bins
from ganlib.training.recording.samples import arrange_grid, draw_samples, write_latents, write_png
from ganlib.training.state import TrainingState
from ganlib.training.step import StepResult


class Reports:
    """The events of one run, made from its state and handed to the recorder.

    room: where the last checkpoint goes that finds none elsewhere; without it that is an error.
    """

    def __init__(
        self, state: TrainingState, out_dir: Path, recorder: Recorder, room: KeptRoom | None = None
    ) -> None:
        self._state = state
        self._out_dir = out_dir
        self._recorder = recorder
        self._room = room
        self._latents_sha256 = ""
        self._checkpoint_waits = False
        self._timed_iteration = state.iteration
        self._timed_at = perf_counter()

    def report_start(self) -> None:
        """Say what is about to train and what is wrong with its data, and store the fixed latents."""
        state = self._state
        event = TrainingStarted(
            iteration=state.iteration,
            iterations=state.spec.iterations,
            device=describe_device(state.device, state.share.count if state.share else 1)[:200],
            precision=str(state.precision).removeprefix("torch."),
            image_count=len(state.images),
            generator_parameters=sum(weights.numel() for weights in state.networks.generator.parameters()),
            discriminator_parameters=sum(weights.numel() for weights in state.networks.discriminator.parameters()),
        )
        self._recorder.put(lambda: event)
        # A run that goes on has told them already.
        for text in state.data.warnings if state.iteration == 0 else ():
            line = LineLogged(iteration=state.iteration, level="warning", text=text[:4000])
            self._recorder.put(partial(_hand_over, line))
        self._recorder.put(
            partial(self._make_latents, state.fixed_latents, state.fixed_labels, estimate_bytes(state))
        )
        if state.iteration == 0:
            self._recorder.put(partial(_hand_over, LineLogged(iteration=0, text=_describe(event))))

    def start_clock(self) -> None:
        """Measure speed from here on: what was prepared before is part of no iteration."""
        self._timed_at = perf_counter()

    @contextmanager
    def clock_stopped(self) -> Iterator[None]:
        """Leave out of the speed what is done inside."""
        started_at = perf_counter()
        try:
            yield
        finally:
            self._timed_at += perf_counter() - started_at

    def report_metrics(self, step: StepResult) -> None:
        """Log losses, mean logits, what the discriminator makes of labels, the rhythm, and the speed."""
        now, iteration = perf_counter(), self._state.iteration
        speed = (iteration - self._timed_iteration) / max(now - self._timed_at, 1e-9)
        numbers = {**self._state.rhythm.metrics(), "speed/iterations_per_second": speed}
        self._timed_iteration, self._timed_at = iteration, now
        tensors = {
            "loss/generator": step.generator_loss,
            "loss/discriminator": step.discriminator_loss,
            "logits/real": step.real_logits,
            "logits/fake": step.fake_logits,
            "loss/classes": step.class_loss,
            "accuracy/labelled": step.labelled_accuracy,
        }
        found = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        self._recorder.put(partial(self._make_metrics, iteration, found, numbers))

    def report_samples(self) -> None:
        """Draw the sample grid of this iteration."""
        state = self._state
        images = draw_samples(choose_sampler(state), state.fixed_latents, state.fixed_labels)
        self._recorder.put(partial(self._make_grid, state.iteration, images))

    def report_neighbours(self, neighbours: NeighbourSearch) -> None:
        """Save the training images nearest to this iteration's samples, laid out like them, and the distances."""
        iteration = self._state.iteration
        self._recorder.put(partial(self._make_neighbour_grid, iteration, neighbours))
        self._recorder.put(partial(_make_distances, iteration, neighbours))

    def report_checkpoint(self, *, is_last: bool = False) -> None:
        """Save all that is needed to go on after this iteration."""
        if self._checkpoint_waits:
            # A snapshot is a copy of all weights: a second one must not pile up behind a slow disk.
            self._recorder.drain()
        self._checkpoint_waits = True
        self._recorder.put(partial(self._make_checkpoint, take_snapshot(self._state), is_last))

    def report_end(self, reason: Literal["completed", "stopped"]) -> None:
        """Say that the loop has ended."""
        event = TrainingEnded(iteration=self._state.iteration, reason=reason)
        self._recorder.put(lambda: event)

    def _make_latents(self, latents: Tensor, labels: Tensor | None, checkpoint_size: int) -> Event:
        latents, labels = latents.cpu(), None if labels is None else labels.cpu()
        try:
            file = store_file(self._out_dir, "latents.safetensors", partial(write_latents, latents, labels))
        except Exception as error:
            if not is_no_room(error):
                raise
            # Grids are known by their latents: without these there is nothing to begin with.
            raise DiskFull("The disk has no room for what a run begins with; make some.") from error
        self._latents_sha256 = file.sha256
        if self._room is not None:
            self._room.keep(checkpoint_size)
        return LatentsFixed(file=file, count=latents.shape[0], latent_size=latents.shape[1])

    def _make_metrics(self, iteration: int, tensors: dict[str, Tensor], numbers: dict[str, float]) -> Event:
        # Means are taken here, off the training thread; a loss is the mean of one number.
        values = {name: tensor.mean().item() for name, tensor in tensors.items()}
        values |= log_ratio_of(values.get("loss/generator", 0), values["loss/discriminator"])
        return MetricsLogged(iteration=iteration, values={**values, **numbers})

    def _make_checkpoint(self, snapshot: Snapshot, is_last: bool) -> Event:
        try:
            file = self._store_checkpoint(snapshot, self._room if is_last else None)
        finally:
            self._checkpoint_waits = False
        if self._room is not None:
            self._room.release() if is_last else self._room.keep(file.size)
        return CheckpointSaved(iteration=snapshot.iteration, file=file)

    def _store_checkpoint(self, snapshot: Snapshot, room: KeptRoom | None) -> StoredFile:
        name = f"checkpoints/{snapshot.iteration:08d}.safetensors"
        try:
            return store_file(self._out_dir, name, partial(write_checkpoint, snapshot))
        except Exception as error:
            if room is None or not is_no_room(error):
                raise
        return room.fill(name, checkpoint_bytes(snapshot))

    def _make_grid(self, iteration: int, images: Tensor) -> Event:
        return SampleGridSaved(iteration=iteration, **self._store_grid("samples", iteration, images))

    def _make_neighbour_grid(self, iteration: int, neighbours: NeighbourSearch) -> Event:
        stored = self._store_grid("neighbours", iteration, neighbours.nearest_images())
        return NeighbourGridSaved(iteration=iteration, **stored)

    def _store_grid(self, folder: str, iteration: int, images: Tensor) -> dict[str, Any]:
        """Write images uint8 (rows · columns, C, H, W) as one PNG and return what an event says of it."""
        grid = self._state.spec.samples
        pixels = arrange_grid(images.cpu(), grid.rows, grid.columns)
        return {
            "file": store_file(self._out_dir, f"{folder}/{iteration:08d}.png", partial(write_png, pixels)),
            "rows": grid.rows,
            "columns": grid.columns,
            "cell_width": images.shape[3],
            "cell_height": images.shape[2],
            "latents_sha256": self._latents_sha256,
        }


def _make_distances(iteration: int, neighbours: NeighbourSearch) -> Event:
    histogram = count_bins(neighbours.found.distances)
    return HistogramsLogged(iteration=iteration, histograms={"neighbours/l1": histogram})


def _hand_over(event: Event) -> Event:
    return event


def log_ratio_of(generator_loss: float, discriminator_loss: float) -> dict[str, float]:
    """Return log(generator loss / discriminator loss), as in Weaver's figure 1, where it exists.

    It is above 0 where the generator is behind. Without it where a loss is 0 or less, as Wasserstein's usually is.
    """
    if not (0 < generator_loss < math.inf and 0 < discriminator_loss < math.inf):
        return {}
    return {"loss/log_ratio": math.log(generator_loss) - math.log(discriminator_loss)}


def choose_sampler(state: TrainingState) -> nn.Module:
    """Return the network that draws samples: the generator, or what a technique puts in its place."""
    generator = state.networks.generator
    for technique in state.techniques:
        generator = technique.choose_sampler(generator)
    return generator


def _describe(started: TrainingStarted) -> str:
    return (
        f"Training on {started.device} in {started.precision}: {started.image_count:,} images, "
        f"{started.generator_parameters:,} weights in the generator, "
        f"{started.discriminator_parameters:,} in the discriminator."
    )


def refuse_divergence(event: Event) -> None:
    """Raise TrainingDiverged when a logged loss is NaN or infinite."""
    if not isinstance(event, MetricsLogged):
        return
    for name, value in event.values.items():
        if name.startswith("loss/") and not math.isfinite(value):
            raise TrainingDiverged(
                f"{name} is {value} at iteration {event.iteration:,}: training has diverged. "
                "A smaller learning rate, or precision: float32, often helps."
            )
