"""Everything that a run holds while it trains."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlib.build import build_network
from ganlib.datasets import gather_images, load_training
from ganlib.hardware import choose_precision
from ganlib.losses import DISCRIMINATOR_LOSSES, GENERATOR_LOSSES, DiscriminatorLoss, GeneratorLoss
from ganlib.modules.first_batch import needs_first_batch, show_first_batch
from ganlib.modules.minibatch_discrimination import MinibatchDiscrimination
from ganlib.optimisers import build_optimiser
from ganlib.randomness import DataOrder, draw_latents, make_generator, seed_layers
from ganlib.rhythm import Rhythm, build_rhythm
from ganlib.spec import JobSpec
from ganlib.techniques import Networks, Technique, build_techniques


@dataclass
class TrainingState:
    """What training changes, and what it needs for that; `iteration` is the last one that was done.

    images: uint8 (N, C, H, W) on the device; data_warnings: what a person should know of them.
    fixed_latents: (rows · columns, L), one for each cell of the grid.
    joins_passes: whether real and fake images go through the discriminator as one batch.
    """

    spec: JobSpec
    device: torch.device
    precision: torch.dtype
    networks: Networks
    generator_optimiser: Optimizer
    discriminator_optimiser: Optimizer
    generator_loss: GeneratorLoss
    discriminator_loss: DiscriminatorLoss
    techniques: list[Technique]
    images: Tensor
    data_warnings: tuple[str, ...]
    data_order: DataOrder
    rhythm: Rhythm
    latents_generator: torch.Generator
    fixed_latents: Tensor
    joins_passes: bool
    iteration: int = 0


def build_state(spec: JobSpec, device: torch.device) -> TrainingState:
    """Build a run at iteration 0; seeds torch's global generators. Raises DatasetUnavailable."""
    techniques = build_techniques(spec)
    networks = build_networks(spec, device, techniques)
    data = load_training(spec.dataset)
    images = data.images.to(device)
    show_first_batches(spec, networks, images)
    discriminator_loss = DISCRIMINATOR_LOSSES[spec.losses.discriminator]
    generator_loss = GENERATOR_LOSSES[spec.losses.generator]
    for technique in techniques:
        discriminator_loss = technique.choose_discriminator_loss(discriminator_loss)
        generator_loss = technique.choose_generator_loss(generator_loss)
        technique.start(networks)
    seed_layers(device, spec.seed, "random layers")
    return TrainingState(
        spec=spec,
        device=device,
        precision=choose_precision(spec.precision, device),
        networks=networks,
        generator_optimiser=build_optimiser(spec.optimisers.generator, list(networks.generator.parameters())),
        discriminator_optimiser=build_optimiser(
            spec.optimisers.discriminator, list(networks.discriminator.parameters())
        ),
        generator_loss=generator_loss,
        discriminator_loss=discriminator_loss,
        techniques=techniques,
        images=images,
        data_warnings=data.warnings,
        data_order=DataOrder(spec.seed, len(images), spec.batch_size, device),
        rhythm=build_rhythm(spec, device),
        latents_generator=make_generator(device, spec.seed, "latents"),
        fixed_latents=draw_fixed_latents(spec).to(device),
        joins_passes=not _mixes_items(networks.discriminator, techniques),
    )


def build_networks(spec: JobSpec, device: torch.device, techniques: list[Technique]) -> Networks:
    """Build both players with their first weights, drawn on the CPU so that they are the same on each device."""
    seed_layers(device, spec.seed, "generator")
    generator: nn.Module = build_network(spec.generator, (spec.latents.size,))
    seed_layers(device, spec.seed, "discriminator")
    discriminator: nn.Module = build_network(spec.discriminator, spec.dataset.shape)
    for technique in techniques:
        generator = technique.wrap_generator(generator)
        discriminator = technique.wrap_discriminator(discriminator)
    # Convolutions of small images are quicker with the channels last in memory, on CPUs and GPUs alike.
    return Networks(
        generator.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        discriminator.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
    )


def show_first_batches(spec: JobSpec, networks: Networks, images: Tensor) -> None:
    """Let layers that take their first values from data have a batch of latents, or of real images."""
    generator = make_generator(torch.device("cpu"), spec.seed, "first batch")
    latents = draw_latents(spec.latents, spec.generator.reference_size, generator)
    chosen = torch.randint(len(images), (spec.discriminator.reference_size,), generator=generator)
    if needs_first_batch(networks.generator):
        show_first_batch(networks.generator, latents.to(images.device))
    if needs_first_batch(networks.discriminator):
        show_first_batch(networks.discriminator, gather_images(images, chosen.to(images.device)))


def draw_fixed_latents(spec: JobSpec) -> Tensor:
    """Draw the latents (rows · columns, L) of the sample grid; they depend on seed, latents and count alone."""
    generator = make_generator(torch.device("cpu"), spec.seed, "fixed latents")
    return draw_latents(spec.latents, spec.samples.rows * spec.samples.columns, generator)


def _mixes_items(discriminator: nn.Module, techniques: list[Technique]) -> bool:
    """Whether a logit depends on the other images of its batch, as batch norm's does."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, MinibatchDiscrimination)
    return any(isinstance(module, kinds) for module in discriminator.modules()) or any(
        technique.mixes_items for technique in techniques
    )
