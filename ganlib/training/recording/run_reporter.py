"""Reports a run: latents, metrics, sample grids and checkpoints as files and events.

Each method only copies tensors, on the device, and queues the rest: reading numbers back, PNG, hashes and files
are made on the background writer's thread.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganlib.errors import DiskFull
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
from ganlib.runtime.files import is_disk_full, store_file
from ganlib.training.checkpoint import (
    Snapshot,
    checkpoint_bytes,
    describe_computer,
    estimate_bytes,
    take_snapshot,
    write_checkpoint,
)
from ganlib.training.recording.background_writer import BackgroundWriter
from ganlib.training.recording.disk_reserve import DiskReserve
from ganlib.training.recording.divergence import Break, DivergenceWatch, find_break, find_broken_state
from ganlib.training.recording.histograms import count_bins
from ganlib.training.recording.samples import (
    arrange_grid,
    broken_items,
    draw_floats,
    to_bytes,
    write_latents,
    write_png,
)
from ganlib.training.state import StepResult, TrainingState
from ganlib.vocabulary import (
    ADVERSARIAL_DISCRIMINATOR_LOSS,
    ADVERSARIAL_GENERATOR_LOSS,
    CLASS_LOSS,
    DISCRIMINATOR_LOSS,
    DISCRIMINATOR_PENALTY,
    FAKE_LOGITS,
    GENERATOR_LOSS,
    GENERATOR_PENALTY,
    LABELLED_ACCURACY,
    LOG_RATIO,
    NEIGHBOUR_DISTANCES,
    REAL_LOGITS,
    SPEED,
)


class RunReporter:
    """Makes the events of one run from its state, on the background writer.

    remember: returns what checkpoints hold beside the training's state. on_break: is told what is not finite
    before
    the run ends. Both are called on the writer's thread.

    reserve: disk space for the last checkpoint where there is none elsewhere; without it that is an error.
    """

    def __init__(
        self, state: TrainingState, out_dir: Path, writer: BackgroundWriter, reserve: DiskReserve | None = None
    ) -> None:
        self._state = state
        self._out_dir = out_dir
        self._writer = writer
        self._reserve = reserve
        self._latents_sha256 = ""
        self._checkpoint_waits = False
        self._watch = DivergenceWatch()
        self.remember: Callable[[], dict[str, Tensor]] = dict
        self.on_break: Callable[[Break], None] = lambda found: None
        # The iteration that the run can go on from; 0 for none.
        self._newest_checkpoint = state.iteration
        self._timed_iteration = state.iteration
        self._timed_at = perf_counter()

    def report_start(self, notice: str = "") -> None:
        """Report what is about to train, with what is to be said about its data, and store the fixed latents.

        notice: a warning of what changed since the checkpoint, if anything did.
        """
        state = self._state
        computer = describe_computer(state)
        event = TrainingStarted(
            iteration=state.iteration,
            iterations=state.spec.iterations,
            device=computer[:200],
            precision=str(state.precision).removeprefix("torch."),
            image_count=len(state.images),
            generator_parameters=sum(weights.numel() for weights in state.networks.generator.parameters()),
            discriminator_parameters=sum(weights.numel() for weights in state.networks.discriminator.parameters()),
        )
        self._writer.put(lambda: event)
        # A resumed run has reported them already.
        is_new = state.iteration == 0
        self._log_about_data("warning", state.data.warnings if is_new else (notice,))
        self._log_about_data("info", state.data.notes if is_new else ())
        self._writer.put(
            partial(self._make_latents, state.fixed_latents, state.fixed_labels, estimate_bytes(state))
        )
        if state.iteration == 0:
            self._writer.put(partial(_pass_on, LineLogged(iteration=0, text=_describe(event))))
        elif state.resumed_on not in ("", computer):
            text = (
                f"Resumed on {computer}; the checkpoint was computed on {state.resumed_on}. Sums differ in their "
                "last bits, so this run is not identical to one that went on there."
            )
            self._writer.put(partial(_pass_on, LineLogged(iteration=state.iteration, text=text[:4000])))

    def _log_about_data(self, level: Literal["info", "warning"], texts: tuple[str, ...]) -> None:
        for text in filter(None, texts):
            line = LineLogged(iteration=self._state.iteration, level=level, text=text[:4000], about="data")
            self._writer.put(partial(_pass_on, line))

    def start_clock(self) -> None:
        """Measure speed from here on: earlier preparations are part of no iteration."""
        self._timed_at = perf_counter()

    @contextmanager
    def clock_stopped(self) -> Iterator[None]:
        """Leave the time inside out of the speed."""
        started_at = perf_counter()
        try:
            yield
        finally:
            self._timed_at += perf_counter() - started_at

    def observe(self, step: StepResult) -> None:
        """Keep an iteration's numbers, to find out which was the first that is not finite."""
        if self._watch.observe(self._state.iteration, step):
            self._check_losses()

    def report_metrics(self, step: StepResult) -> None:
        """Log losses, mean logits, the classes' loss and accuracy, updates, techniques' numbers, and the speed.

        A loss that is not finite, in this iteration or one before it, ends the run: TrainingDiverged.
        """
        now, iteration = perf_counter(), self._state.iteration
        speed = (iteration - self._timed_iteration) / max(now - self._timed_at, 1e-9)
        numbers = {**self._state.update_schedule.metrics(), SPEED.name: speed}
        self._timed_iteration, self._timed_at = iteration, now
        tensors = {
            GENERATOR_LOSS.name: step.generator_loss,
            DISCRIMINATOR_LOSS.name: step.discriminator_loss,
            REAL_LOGITS.name: step.real_logits,
            FAKE_LOGITS.name: step.fake_logits,
            CLASS_LOSS.name: step.class_loss,
            LABELLED_ACCURACY.name: step.labelled_accuracy,
        }
        if self._state.splits_losses:
            tensors |= {
                ADVERSARIAL_GENERATOR_LOSS.name: step.generator_adversarial_loss,
                ADVERSARIAL_DISCRIMINATOR_LOSS.name: step.discriminator_adversarial_loss,
                GENERATOR_PENALTY.name: step.generator_penalty,
                DISCRIMINATOR_PENALTY.name: step.discriminator_penalty,
            }
        computed = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        for technique in self._state.techniques:
            # The next iteration may change them before they are read.
            computed |= {name: tensor.clone() for name, tensor in technique.metrics().items()}
        self._writer.put(partial(_make_metrics, iteration, computed, numbers))
        self._check_losses()

    def report_samples(self) -> None:
        """Draw the sample grid of this iteration, and say so if cells of it are no images."""
        state = self._state
        images = draw_floats(choose_sampler(state), state.fixed_latents, state.fixed_labels)
        self._writer.put(partial(self._make_grid, state.iteration, to_bytes(images)))
        self._writer.put(partial(_make_warning, state.iteration, broken_items(images), len(images)))

    def report_neighbours(self, neighbours: NeighbourSearch) -> None:
        """Save the training images nearest to this iteration's samples, laid out like them, and the distances."""
        iteration = self._state.iteration
        self._writer.put(partial(self._make_neighbour_grid, iteration, neighbours))
        self._writer.put(partial(_make_distances, iteration, neighbours))

    def report_checkpoint(self, *, is_last: bool = False) -> None:
        """Save all that is needed to resume after this iteration, if all of it is finite.

        Otherwise nothing is stored, so that no broken checkpoint takes the place of a whole one, and the run ends:
        TrainingDiverged.
        """
        self._check_losses()
        if self._checkpoint_waits:
            # A snapshot is a copy of all weights: a second one must not pile up behind a slow disk.
            self._writer.drain()
        self._checkpoint_waits = True
        self._writer.put(partial(self._make_checkpoint, take_snapshot(self._state), is_last))

    def report_end(self, reason: Literal["completed", "stopped"]) -> None:
        """Report that the loop has ended."""
        event = TrainingEnded(iteration=self._state.iteration, reason=reason)
        self._writer.put(lambda: event)

    def _make_latents(self, latents: Tensor, labels: Tensor | None, checkpoint_size: int) -> Event:
        latents, labels = latents.cpu(), None if labels is None else labels.cpu()
        try:
            file = store_file(self._out_dir, "latents.safetensors", partial(write_latents, latents, labels))
        except Exception as error:
            if not is_disk_full(error):
                raise
            # Grids are known by their latents: without these no run can begin.
            raise DiskFull("The disk has no room for the files that a run begins with; make some.") from error
        self._latents_sha256 = file.sha256
        if self._reserve is not None:
            self._reserve.reserve(checkpoint_size)
        return LatentsFixed(file=file, count=latents.shape[0], latent_size=latents.shape[1])

    def _check_losses(self) -> None:
        """Queue the check of all losses since the last one; the next call of any method raises what it found."""
        self._writer.put(partial(self._refuse_break_in, self._watch.take()))

    def _refuse_break_in(self, observed: Sequence[tuple[int, StepResult]]) -> None:
        self._refuse(find_break(observed))

    def _refuse(self, found: Break | None) -> None:
        """Raise TrainingDiverged for what broke."""
        if found is None:
            return
        self.on_break(found)
        at = self._newest_checkpoint
        kept = (
            f"The newest checkpoint is that of iteration {at:,}, from before." if at else "There is no checkpoint."
        )
        precision = "" if self._state.precision == torch.float32 else ", or precision: float32,"
        raise found.error(f"{kept} A smaller learning rate{precision} often helps.")

    def _make_checkpoint(self, snapshot: Snapshot, is_last: bool) -> Event:
        try:
            self._refuse(find_broken_state(snapshot.iteration, snapshot.tensors))
            # All signals up to this iteration have been computed on this thread by now.
            remembered = {f"diagnosis.{name}": tensor for name, tensor in self.remember().items()}
            snapshot = replace(snapshot, tensors={**snapshot.tensors, **remembered})
            file = self._store_checkpoint(snapshot, self._reserve if is_last else None)
        finally:
            self._checkpoint_waits = False
        self._newest_checkpoint = snapshot.iteration
        if self._reserve is not None:
            self._reserve.release() if is_last else self._reserve.reserve(file.size)
        return CheckpointSaved(iteration=snapshot.iteration, file=file)

    def _store_checkpoint(self, snapshot: Snapshot, reserve: DiskReserve | None) -> StoredFile:
        name = f"checkpoints/{snapshot.iteration:08d}.safetensors"
        try:
            return store_file(self._out_dir, name, partial(write_checkpoint, snapshot))
        except Exception as error:
            if reserve is None or not is_disk_full(error):
                raise
        return reserve.write(name, checkpoint_bytes(snapshot))

    def _make_grid(self, iteration: int, images: Tensor) -> Event:
        return SampleGridSaved(iteration=iteration, **self._store_grid("samples", iteration, images))

    def _make_neighbour_grid(self, iteration: int, neighbours: NeighbourSearch) -> Event:
        stored = self._store_grid("neighbours", iteration, neighbours.nearest_images())
        return NeighbourGridSaved(iteration=iteration, **stored)

    def _store_grid(self, folder: str, iteration: int, images: Tensor) -> dict[str, Any]:
        """Write images uint8 (rows · columns, C, H, W) as one PNG and return the fields of its event."""
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


def _make_metrics(iteration: int, tensors: dict[str, Tensor], numbers: dict[str, float]) -> Event:
    # Means are taken here, off the training thread; a loss is the mean of one number.
    values = {name: tensor.mean().item() for name, tensor in tensors.items()}
    # Without penalties and classes, all of a loss is real against fake.
    generator, discriminator = (
        values.get(adversarial.name, values.get(whole.name, 0))
        for adversarial, whole in (
            (ADVERSARIAL_GENERATOR_LOSS, GENERATOR_LOSS),
            (ADVERSARIAL_DISCRIMINATOR_LOSS, DISCRIMINATOR_LOSS),
        )
    )
    values |= log_ratio_of(generator, discriminator)
    return MetricsLogged(iteration=iteration, values={**values, **numbers})


def _make_warning(iteration: int, broken: Tensor, count: int) -> Event | None:
    """Return a line about a grid's cells that are no images, if there are any."""
    found = int(broken)
    if not found:
        return None
    text = (
        f"{found:,} of {count:,} cells of the sample grid of iteration {iteration:,} hold numbers that are not "
        "finite; NaN is drawn black."
    )
    return LineLogged(iteration=iteration, level="warning", text=text, about="samples")


def _make_distances(iteration: int, neighbours: NeighbourSearch) -> Event:
    histogram = count_bins(neighbours.found.distances)
    return HistogramsLogged(iteration=iteration, histograms={NEIGHBOUR_DISTANCES: histogram})


def _pass_on(event: Event) -> Event:
    return event


def log_ratio_of(generator_loss: float, discriminator_loss: float) -> dict[str, float]:
    """Return log(generator loss / discriminator loss), both adversarial, as in Weaver's figure 1, if it exists.

    It is above 0 where the generator is behind. Without it where a loss is 0 or less, as Wasserstein's usually is.
    """
    if not (0 < generator_loss < math.inf and 0 < discriminator_loss < math.inf):
        return {}
    return {LOG_RATIO.name: math.log(generator_loss) - math.log(discriminator_loss)}


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
