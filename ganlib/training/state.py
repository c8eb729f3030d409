"""The state of a run while it trains, and how it is built."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlib.datasets import gather_images
from ganlib.errors import NotShardable
from ganlib.losses.adversarial import DISCRIMINATOR_LOSSES, GENERATOR_LOSSES, DiscriminatorLoss, GeneratorLoss
from ganlib.losses.heads import HEADS, ONE_LOGIT, Head, class_loss
from ganlib.networks.build import build_network
from ganlib.networks.first_batch import needs_first_batch, show_first_batch
from ganlib.networks.layers import MinibatchDiscrimination
from ganlib.networks.normalisation import BatchNorm, find_batch_norms
from ganlib.networks.players import Networks
from ganlib.runtime.batch_sharding import BatchShard
from ganlib.runtime.device import choose_precision
from ganlib.runtime.process_group import SINGLE_PROCESS, ProcessGroup
from ganlib.runtime.random_streams import draw_labels, make_generator, seed_layers
from ganlib.spec.checks.fields import find_sharding_problem
from ganlib.spec.job import JobSpec
from ganlib.spec.layers import takes_labels
from ganlib.spec.sections.losses import AuxiliarySpec
from ganlib.spec.sections.optimisers import OptimisersSpec
from ganlib.techniques.base import Technique
from ganlib.training.cuda_graph import StepGraph, build_step_graph
from ganlib.training.data import TrainingData, draw_latents, load_training_data
from ganlib.training.optimisers import build_optimiser
from ganlib.training.torch_compile import compile_networks
from ganlib.training.update_schedule import UpdateSchedule, build_update_schedule


@dataclass(frozen=True)
class StepResult:
    """Numbers of each player's last update in an iteration, on the device; D's logits are (N,).

    Without a GAN, where only a classifier is trained, there is neither a generator's loss nor logits; without
    classes there is neither their loss nor the labelled images' accuracy. Adversarial losses are the parts that
    real against fake decides, penalties the sums of what techniques add, None where they add nothing.
    """

    discriminator_loss: Tensor
    generator_loss: Tensor | None
    real_logits: Tensor | None
    fake_logits: Tensor | None
    class_loss: Tensor | None
    labelled_accuracy: Tensor | None
    discriminator_adversarial_loss: Tensor | None = None
    generator_adversarial_loss: Tensor | None = None
    discriminator_penalty: Tensor | None = None
    generator_penalty: Tensor | None = None


class LogitHistory:
    """All logits of real and of fake images that were added since the last `clear`.

    They are part of a checkpoint, so that the histograms of a run that was stopped are those of one that was not.
    """

    def __init__(self) -> None:
        self._parts: dict[str, list[Tensor]] = {}

    def add(self, real_logits: Tensor | None, fake_logits: Tensor | None) -> None:
        """Keep copies of one iteration's logits (N,), without waiting for the device."""
        for name, logits in (("real", real_logits), ("fake", fake_logits)):
            if logits is not None:
                self._parts.setdefault(name, []).append(logits.detach().to(torch.float32, copy=True))

    def parts(self) -> dict[str, list[Tensor]]:
        """Return what was kept, an iteration at a time, under `real` and `fake`."""
        return {name: list(parts) for name, parts in self._parts.items()}

    def clear(self) -> None:
        """Forget all."""
        self._parts = {}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint must hold; none when nothing is kept."""
        return {name: torch.cat(parts) for name, parts in self._parts.items()}

    def load_state_dict(self, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Take back what `state_dict` gave."""
        self._parts = {name: [tensor.to(device)] for name, tensor in tensors.items()}


@dataclass
class TrainingState:
    """Networks, optimisers, data and settings of one run; `iteration` is the last one that was done.

    fixed_latents: (rows · columns, L), one for each cell of the grid; fixed_labels: int64 (rows · columns,) beside
    them, None unless the generator takes labels.
    adversarial_generator_loss: the generator's loss as the spec names it, whatever a technique puts in its place.
    joins_passes: whether real and fake images go through the discriminator as one batch. has_gan: False where only
    a classifier is trained. class_weight: of the labelled images' cross-entropy in D's loss, 0 without labels.
    generator_class_loss: outputs (N, M), labels (N,) → what G pays for fakes of the wrong class, None if nothing.
    real_statistics: D's batch norms whose running statistics are to be those of real images alone. shard: this
    process's part of each batch, None for all. resumed_on: what its checkpoint was computed on, if known. graph:
    replays an iteration's updates where the spec asks for it. diagnosis: what a checkpoint remembers of signals
    and findings. changed_optimisers: those that a rollback has put in the place of the spec's.
    """

    spec: JobSpec
    device: torch.device
    precision: torch.dtype
    networks: Networks
    generator_optimiser: Optimizer
    discriminator_optimiser: Optimizer
    generator_loss: GeneratorLoss
    adversarial_generator_loss: GeneratorLoss
    discriminator_loss: DiscriminatorLoss
    techniques: list[Technique]
    data: TrainingData
    update_schedule: UpdateSchedule
    latents_generator: torch.Generator
    fixed_latents: Tensor
    fixed_labels: Tensor | None
    joins_passes: bool
    has_gan: bool
    class_weight: float
    generator_class_loss: Callable[[Tensor, Tensor], Tensor] | None
    real_statistics: list[BatchNorm]
    shard: BatchShard | None = None
    graph: StepGraph[StepResult] | None = None
    iteration: int = 0
    resumed_on: str = ""
    logit_history: LogitHistory = field(default_factory=LogitHistory)
    diagnosis: dict[str, Tensor] = field(default_factory=dict)
    changed_optimisers: OptimisersSpec | None = None

    @property
    def optimisers(self) -> OptimisersSpec:
        """The optimisers' settings as they are now."""
        return self.changed_optimisers or self.spec.optimisers

    @property
    def splits_losses(self) -> bool:
        """Whether a player's loss holds more than real against fake: classes, or what techniques add."""
        adding = (Technique.discriminator_penalty, Technique.generator_penalty)
        return self.spec.losses.classes is not None or any(
            (type(technique).discriminator_penalty, type(technique).generator_penalty) != adding
            for technique in self.techniques
        )

    @property
    def images(self) -> Tensor:
        """All training images, uint8 (N, C, H, W) on the device."""
        return self.data.images


def build_state(spec: JobSpec, device: torch.device, processes: ProcessGroup = SINGLE_PROCESS) -> TrainingState:
    """Build a run at iteration 0; seeds torch's global generators.

    processes: those that share the run. Raises DatasetUnavailable, DeviceUnavailable, NotShardable.
    """
    refuse_unshardable(spec, processes.count)
    recorded = spec.speed.cuda_graphs
    techniques = [section.build(spec) for section in spec.techniques]
    networks = build_networks(spec, device, techniques)
    data = load_training_data(spec, device)
    show_first_batches(spec, networks, data)
    discriminator_loss = DISCRIMINATOR_LOSSES[spec.losses.discriminator]
    generator_loss = GENERATOR_LOSSES[spec.losses.generator]
    for technique in techniques:
        discriminator_loss = technique.choose_discriminator_loss(discriminator_loss)
        generator_loss = technique.choose_generator_loss(generator_loss)
        technique.start(networks)
    if spec.speed.compile:
        compile_networks(networks)
    seed_layers(device, spec.seed, "random layers")
    latents_generator = make_generator(device, spec.seed, "latents")
    generators = [latents_generator, *(stream for technique in techniques for stream in technique.generators())]
    return TrainingState(
        spec=spec,
        device=device,
        precision=choose_precision(spec.precision, device),
        networks=networks,
        generator_optimiser=build_optimiser(
            spec.optimisers.generator, list(networks.generator.parameters()), recorded
        ),
        discriminator_optimiser=build_optimiser(
            spec.optimisers.discriminator, list(networks.discriminator.parameters()), recorded
        ),
        generator_loss=generator_loss,
        adversarial_generator_loss=GENERATOR_LOSSES[spec.losses.generator],
        discriminator_loss=discriminator_loss,
        techniques=techniques,
        data=data,
        update_schedule=build_update_schedule(spec, device),
        latents_generator=latents_generator,
        fixed_latents=draw_fixed_latents(spec).to(device),
        fixed_labels=choose_fixed_labels(spec, device),
        joins_passes=not _mixes_items(networks.discriminator, techniques),
        has_gan=spec.losses.has_gan,
        class_weight=spec.losses.classes.weight if spec.losses.classes else 0.0,
        generator_class_loss=_choose_generator_class_loss(spec, networks.head),
        # Only real images are ever measured in evaluation mode: its statistics must not depend on fakes.
        real_statistics=find_batch_norms(networks.discriminator),
        shard=processes.shard_of(spec.batch_size),
        graph=build_step_graph(device, generators) if recorded else None,
    )


def refuse_unshardable(spec: JobSpec, count: int) -> None:
    """Raise NotShardable where `count` processes cannot divide the spec's batches with the same result."""
    problem = find_sharding_problem(spec, count)
    if problem is not None:
        raise NotShardable(str(problem))


def _choose_generator_class_loss(spec: JobSpec, head: Head) -> Callable[[Tensor, Tensor], Tensor] | None:
    classes = spec.losses.classes
    if not isinstance(classes, AuxiliarySpec):
        return None
    return lambda outputs, labels: classes.generator_weight * class_loss(head.class_logits(outputs), labels)


def build_networks(spec: JobSpec, device: torch.device, techniques: list[Technique]) -> Networks:
    """Build both players with their first weights, drawn on the CPU so that they are the same on each device."""
    seed_layers(device, spec.seed, "generator")
    generator: nn.Module = build_network(spec.generator, (spec.latents.size,), spec.dataset.class_count)
    seed_layers(device, spec.seed, "discriminator")
    discriminator: nn.Module = build_network(spec.discriminator, spec.dataset.shape, spec.dataset.class_count)
    for technique in techniques:
        generator = technique.wrap_generator(generator)
        discriminator = technique.wrap_discriminator(discriminator)
    # Convolutions of small images are quicker with the channels last in memory, on CPUs and GPUs alike.
    return Networks(
        generator.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        discriminator.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        HEADS[spec.losses.classes.kind] if spec.losses.classes else ONE_LOGIT,
    )


def show_first_batches(spec: JobSpec, networks: Networks, data: TrainingData) -> None:
    """Show a batch of latents, or of real images, to networks whose layers take their first values from data."""
    generator = make_generator(torch.device("cpu"), spec.seed, "first batch")
    latents = draw_latents(spec.latents, spec.generator.reference_size, generator)
    chosen = torch.randint(len(data.images), (spec.discriminator.reference_size,), generator=generator)
    chosen, latents = chosen.to(data.images.device), latents.to(data.images.device)
    if needs_first_batch(networks.generator):
        labels = None
        if takes_labels(spec.generator.layers):
            labels = draw_labels(spec.dataset.class_count, len(latents), generator).to(latents.device)
        show_first_batch(networks.generator, latents, labels)
    if needs_first_batch(networks.discriminator):
        labels = (
            data.labels[chosen] if takes_labels(spec.discriminator.layers) and data.labels is not None else None
        )
        show_first_batch(networks.discriminator, gather_images(data.images, chosen), labels)


def draw_fixed_latents(spec: JobSpec) -> Tensor:
    """Draw the latents (rows · columns, L) of the sample grid; they depend on seed, latents and count alone."""
    generator = make_generator(torch.device("cpu"), spec.seed, "fixed latents")
    return draw_latents(spec.latents, spec.samples.rows * spec.samples.columns, generator)


def choose_fixed_labels(spec: JobSpec, device: torch.device) -> Tensor | None:
    """Return the labels int64 (rows · columns,) of the sample grid: cell i shows class i mod K."""
    if not takes_labels(spec.generator.layers):
        return None
    return torch.arange(spec.samples.rows * spec.samples.columns, device=device) % spec.dataset.class_count


def _mixes_items(discriminator: nn.Module, techniques: list[Technique]) -> bool:
    """Return whether a logit depends on the other images of its batch, as with batch norm."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, MinibatchDiscrimination)
    return any(isinstance(module, kinds) for module in discriminator.modules()) or any(
        technique.mixes_items for technique in techniques
    )
