"""Checks across the fields of a spec (no torch); each technique checks its own section.

`find_problem` runs all of them; each returns the first field that does not fit, with what is wrong, or None.
"""

from collections.abc import Sequence

from pydantic import ValidationError

from ganlib.errors import Problem, ShapeMismatch
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.spec.checks.networks import find_network_problem
from ganlib.spec.documents.suggestions import ask_near
from ganlib.spec.job import JobSpec, changed_fields
from ganlib.spec.layers import LayerSpec, MinibatchDiscrimination, Norm, split_layer_path, takes_labels
from ganlib.spec.sections.evaluation import TransferSpec
from ganlib.spec.sections.losses import POSITIVE_LOSSES, AuxiliarySpec, CategoriesSpec
from ganlib.spec.shapes import count_parameters, output_shape, show_shape
from ganlib.techniques import TECHNIQUES
from ganlib.vocabulary import LABEL_AGREEMENT, TEST_ACCURACY

MAX_GRID_PIXELS = 16_000_000
MAX_SAMPLE_GRIDS = 100_000
MAX_HISTOGRAM_EVENTS = 100_000


def find_problem(spec: JobSpec) -> Problem | None:
    """Return the first field that does not fit the others, and what is wrong with it, or None."""
    for check in (
        _check_classes,
        _check_conditional,
        _check_auxiliary,
        _check_metrics,
        _check_generator,
        _check_discriminator,
        _check_techniques,
        _check_update_schedule,
        _check_grids,
        _check_histograms,
        _check_queue,
        _check_evaluation,
        _check_transfer,
        _check_speed,
        _check_reactions,
    ):
        problem = check(spec)
        if problem is not None:
            return problem
    return None


def _check_classes(spec: JobSpec) -> Problem | None:
    classes = spec.losses.classes
    needs_count = spec.losses.uses_labels or (classes is not None and spec.losses.output_count(0) < 2)
    if needs_count and spec.dataset.class_count < 2:
        return Problem("dataset.classes", "", "losses.classes needs the number of classes: give it, 2 or more")
    if spec.dataset.labels is not None and not spec.losses.uses_labels:
        return Problem("dataset.labels", "", "a label budget needs losses that use labels: give losses.classes")
    if (
        isinstance(classes, CategoriesSpec)
        and classes.weight > 0
        and classes.count not in (None, spec.dataset.class_count)
    ):
        return Problem(
            "losses.classes.count",
            "",
            f"labels of {spec.dataset.class_count} classes do not fit {classes.count} categories; "
            "leave count out, or set weight to 0",
        )
    return None


def _check_conditional(spec: JobSpec) -> Problem | None:
    if not takes_labels(spec.discriminator.layers):
        return None
    if not takes_labels(spec.generator.layers):
        return Problem(
            "generator.layers",
            "",
            "the discriminator takes labels, so fakes need one too: let the generator take labels, "
            "such as by a first layer `labels`",
        )
    if spec.losses.classes is not None:
        return Problem(
            "losses.classes",
            "",
            "a discriminator that takes labels cannot also predict them: use one or the other",
        )
    return None


def _check_auxiliary(spec: JobSpec) -> Problem | None:
    if isinstance(spec.losses.classes, AuxiliarySpec) and not takes_labels(spec.generator.layers):
        return Problem(
            "generator.layers",
            "",
            "classes: {kind: auxiliary} needs fakes of a known class: let the generator take labels, such as by a "
            "first layer `labels`",
        )
    return None


def _check_metrics(spec: JobSpec) -> Problem | None:
    metrics = spec.evaluation.metrics if spec.evaluation else ()
    if TEST_ACCURACY.asked_as in metrics and not spec.losses.uses_labels:
        return Problem(
            "evaluation.metrics",
            "",
            "accuracy needs a discriminator that learns classes: give losses.classes a weight",
        )
    if LABEL_AGREEMENT.asked_as in metrics and not takes_labels(spec.generator.layers):
        return Problem(
            "evaluation.metrics",
            "",
            f"{LABEL_AGREEMENT.asked_as} measures whether fakes show the class that they were given: let the "
            "generator take labels, such as by a first layer `labels`",
        )
    return None


def _check_generator(spec: JobSpec) -> Problem | None:
    return find_network_problem("generator", spec.dataset, spec.latents, spec.generator, spec.losses)


def _check_discriminator(spec: JobSpec) -> Problem | None:
    return find_network_problem("discriminator", spec.dataset, spec.latents, spec.discriminator, spec.losses)


def _check_techniques(spec: JobSpec) -> Problem | None:
    for index, section in enumerate(spec.techniques):
        if section.needs_gan and not spec.losses.has_gan:
            allowed = ", ".join(name for name, kind in TECHNIQUES.items() if not kind.needs_gan)
            message = f"{section.technique} needs a GAN, and losses.discriminator is none; allowed then: {allowed}"
            return Problem(f"techniques.{index}", "", message)
        problem = section.find_problem(f"techniques.{index}", spec)
        if problem is not None:
            return problem
    return None


def _check_update_schedule(spec: JobSpec) -> Problem | None:
    if spec.adaptive_advantage is None:
        return None
    if (spec.discriminator_steps, spec.generator_advantage) != (1, 1):
        return Problem(
            "adaptive_advantage",
            "",
            "it sets both players' updates itself; leave out discriminator_steps and generator_advantage",
        )
    if spec.losses.generator not in spec.losses.facts.positive:
        return Problem(
            "adaptive_advantage",
            "",
            f"it needs losses that stay above 0; allowed for losses.generator: {', '.join(POSITIVE_LOSSES)}",
        )
    return None


def _check_grids(spec: JobSpec) -> Problem | None:
    _, height, width = spec.dataset.shape
    pixels = spec.samples.rows * spec.samples.columns * height * width
    if pixels > MAX_GRID_PIXELS:
        return Problem("samples", "", f"a grid of {pixels:,} pixels is too large; at most {MAX_GRID_PIXELS:,}")
    grids = spec.iterations // spec.sample_every
    if grids > MAX_SAMPLE_GRIDS:
        message = f"{grids:,} grids would be kept; at most {MAX_SAMPLE_GRIDS:,}: raise sample_every"
        return Problem("sample_every", "", message)
    return None


def _check_histograms(spec: JobSpec) -> Problem | None:
    events = spec.iterations // (spec.histogram_every or spec.iterations)
    if events > MAX_HISTOGRAM_EVENTS:
        message = f"{events:,} histograms would be kept; at most {MAX_HISTOGRAM_EVENTS:,}: raise histogram_every"
        return Problem("histogram_every", "", message)
    if spec.histogram_layers and spec.histogram_every is None:
        return Problem("histogram_layers", "", "how often they are logged is missing: give histogram_every")
    for place, path in enumerate(spec.histogram_layers):
        player, index = split_layer_path(path)
        last = len(getattr(spec, player).layers) - 1
        if index > last:
            message = f"the {player}'s layers are counted from 0 to {last}"
            return Problem(f"histogram_layers.{place}", path, message)
    return None


def _check_queue(spec: JobSpec) -> Problem | None:
    for field in ("gpu_memory_gib", "gpus"):
        if getattr(spec.queue, field) is not None and spec.device == "cpu":
            return Problem(f"queue.{field}", "", "device: cpu uses no graphics card; leave one of the two out")
    problem = find_sharding_problem(spec, spec.queue.gpus or 1)
    if problem is not None:
        return Problem("queue.gpus", "", f"each card's process takes its part of every batch. {problem}")
    return None


def _check_evaluation(spec: JobSpec) -> Problem | None:
    if spec.evaluation is None:
        return None
    problem = spec.evaluation.find_problem(spec.dataset)
    if problem is not None:
        return problem
    if spec.evaluation.neighbour_grid and spec.evaluation.every % spec.sample_every:
        return Problem(
            "evaluation.every",
            "",
            "neighbour_grid belongs to the sample grid of its iteration, so this must be a multiple of "
            f"sample_every, {spec.sample_every}",
        )
    return None


def find_sharding_problem(spec: JobSpec, count: int) -> Problem | None:
    """Return the first field that keeps `count` processes from computing what one does, and why, or None."""
    if count == 1:
        return None
    if spec.batch_size % count:
        return Problem("batch_size", "", f"{spec.batch_size} cannot be divided evenly among {count} processes.")
    if spec.speed.compile or spec.speed.cuda_graphs:
        return Problem(
            "speed", "", "speed.compile and speed.cuda_graphs work in one process alone; leave them out."
        )
    for player, network in (("generator", spec.generator), ("discriminator", spec.discriminator)):
        mixing = _find_mixing_layer(network.layers)
        if mixing is not None:
            return Problem(
                player,
                "",
                f"The {player} has virtual batch norm beside {mixing.layer}, which would see the reference "
                "batch once in each process; train it in one process.",
            )
    return None


def _find_mixing_layer(layers: Sequence[LayerSpec]) -> LayerSpec | None:
    """Return the first layer that would see the reference batch of a virtual batch norm beside it, or None."""
    if not any(isinstance(layer, Norm) and layer.kind == "virtual_batch" for layer in layers):
        return None
    return next((layer for layer in layers if _sees_reference(layer)), None)


def _sees_reference(layer: LayerSpec) -> bool:
    batch_norm = isinstance(layer, Norm) and layer.kind != "virtual_batch"
    return batch_norm or isinstance(layer, MinibatchDiscrimination) or layer.layer in ("dropout", "noise")


def _check_speed(spec: JobSpec) -> Problem | None:
    """A step that is recorded once must be the same in each iteration."""
    if not spec.speed.cuda_graphs:
        return None
    if spec.device == "cpu":
        message = "there are CUDA graphs on CUDA alone; set device to auto or cuda, or leave it out"
        return Problem("speed.cuda_graphs", "", message)
    if spec.adaptive_advantage is not None:
        message = "speed.cuda_graphs replays the same updates in each iteration; use one or the other"
        return Problem("adaptive_advantage", "", message)
    return None


def _check_transfer(spec: JobSpec) -> Problem | None:
    if spec.transfer is None:
        return None
    for check in (_check_transfer_times, _check_transfer_labels, _check_kept_layers, _check_transfer_head):
        problem = check(spec, spec.transfer)
        if problem is not None:
            return problem
    return None


def _check_transfer_times(spec: JobSpec, transfer: TransferSpec) -> Problem | None:
    for index, iteration in enumerate(transfer.at):
        if iteration > spec.iterations:
            return Problem(
                f"transfer.at.{index}", "", f"the run ends at iteration {spec.iterations:,}, before {iteration:,}"
            )
    return None


def _check_transfer_labels(spec: JobSpec, transfer: TransferSpec) -> Problem | None:
    count = spec.dataset.class_count
    if count < 2:
        return Problem("transfer.labels", "", "it needs classes: give dataset.classes, 2 or more")
    if transfer.labels < count:
        return Problem(
            "transfer.labels",
            "",
            f"{transfer.labels} labels are too few for {count} classes: each needs one at least",
        )
    return None


def _check_kept_layers(spec: JobSpec, transfer: TransferSpec) -> Problem | None:
    layers = spec.discriminator.layers
    if transfer.kept_layers >= len(layers):
        return Problem(
            "transfer.kept_layers",
            "",
            f"the discriminator has {len(layers)} layers and the last must go: keep at most {len(layers) - 1}",
        )
    for index, layer in enumerate(layers[: transfer.kept_layers]):
        if not _needs_only_its_input(layer):
            return Problem(
                "transfer.kept_layers", "", f"the discriminator's layer {index} ({layer.layer}) {_NEEDS_MORE}"
            )
    return None


def _check_transfer_head(spec: JobSpec, transfer: TransferSpec) -> Problem | None:
    for index, layer in enumerate(transfer.head):
        if not _needs_only_its_input(layer):
            return Problem(f"transfer.head.{index}", "", f"{layer.layer} {_NEEDS_MORE}")
    kept = spec.discriminator.layers[: transfer.kept_layers]
    features = output_shape(kept, spec.dataset.shape, spec.dataset.class_count)
    try:
        output = output_shape(transfer.head, features)
        parameters = count_parameters(transfer.head, features)
    except ShapeMismatch as error:
        return Problem(f"transfer.head.{error.layer_index}", "", str(error))
    expected = (spec.dataset.class_count,)
    if output != expected:
        last = len(transfer.head) - 1
        return Problem(
            f"transfer.head.{last}",
            "",
            f"the head's output after layer {last} ({transfer.head[last].layer}) is {show_shape(output)}, "
            f"but must be {show_shape(expected)} (one logit for each class); it gets {show_shape(features)}",
        )
    if not parameters:
        return Problem("transfer.head", "", "a head without weights cannot learn; end it with a dense layer")
    return None


_NEEDS_MORE = "looks at labels or at a reference batch beside the images, which a classifier does not have"


def _needs_only_its_input(layer: LayerSpec) -> bool:
    """Return whether the layer needs only its input, no labels and no reference batch."""
    return not takes_labels([layer]) and not (isinstance(layer, Norm) and layer.kind == "virtual_batch")


def _check_reactions(spec: JobSpec) -> Problem | None:
    for name, reaction in spec.on.items():
        if name not in RULES:
            near = ask_near(name, RULES)
            return Problem("on", repr(name[:64]), f"there is no such fault; known: {', '.join(RULES)}{near}")
        if reaction.action == "rollback" and (spec.speed.cuda_graphs or (spec.queue.gpus or 1) > 1):
            return Problem(f"on.{name}", "", "a rollback works on one card and without speed.cuda_graphs alone")
        counts = {"discriminator_steps", "generator_advantage"} & reaction.change.keys()
        if counts and spec.adaptive_advantage is not None:
            field = f"on.{name}.change.{min(counts)}"
            return Problem(field, "", "adaptive_advantage decides it; change a learning rate instead")
        for path, value in reaction.change.items():
            try:
                changed_fields(spec, {path: value})
            except ValidationError as error:
                message = error.errors()[0]["msg"].removeprefix("Value error, ").removeprefix("Input should ")
                message = message if message.startswith("must") else f"must {message}"
                return Problem(f"on.{name}.change.{path}", repr(value)[:64], message)
    if spec.on and not spec.diagnosis.enabled:
        return Problem("on", "", "no fault is looked for without diagnosis.enabled: set it, or drop on")
    return None
