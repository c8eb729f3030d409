"""Checks across the fields of a spec: labels, shares of a batch, speed and transfer (no torch)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ganlib.errors import ShapeMismatch
from ganlib.spec.layers import LayerSpec, MinibatchDiscrimination, Norm, takes_labels
from ganlib.spec.sections.evaluation import TransferSpec
from ganlib.spec.sections.losses import AuxiliarySpec, CategoriesSpec
from ganlib.spec.sections.techniques import EmaDiscriminatorSpec, GradientPenaltySpec, R1Spec
from ganlib.spec.shapes import count_parameters, output_shape, show_shape

if TYPE_CHECKING:
    from ganlib.spec.job import JobSpec


# Techniques that mean something to a classifier that is trained without a GAN.
_FOR_CLASSIFIERS = (
    "ema_discriminator",
    "historical_averaging",
    "weight_clipping",
    "instance_noise",
    "diff_augment",
)


def find_label_problem(spec: "JobSpec") -> tuple[str, str] | None:
    """Return the first field that does not fit, and what is wrong with it, or None."""
    for check in (_check_classes, _check_conditional, _check_head, _check_techniques, _check_metrics):
        problem = check(spec)
        if problem:
            return problem
    return None


def _check_classes(spec: "JobSpec") -> tuple[str, str] | None:
    classes = spec.losses.classes
    needs_count = spec.losses.uses_labels or (classes is not None and spec.losses.output_count(0) < 2)
    if needs_count and spec.dataset.class_count < 2:
        return "dataset.classes", "losses.classes needs the number of classes: give it, 2 or more"
    if spec.dataset.labels is not None and not spec.losses.uses_labels:
        return "dataset.labels", "a label budget needs losses that use labels: give losses.classes"
    if (
        isinstance(classes, CategoriesSpec)
        and classes.weight > 0
        and classes.count not in (None, spec.dataset.class_count)
    ):
        return (
            "losses.classes.count",
            f"labels of {spec.dataset.class_count} classes are to be told by {classes.count} categories; "
            "leave count out, or set weight to 0",
        )
    return None


def _check_conditional(spec: "JobSpec") -> tuple[str, str] | None:
    if not takes_labels(spec.discriminator.layers):
        return None
    if not takes_labels(spec.generator.layers):
        return (
            "generator.layers",
            "the discriminator takes labels, so fakes need one too: let the generator take labels, "
            "such as by a first layer `labels`",
        )
    if spec.losses.classes is not None:
        return (
            "losses.classes",
            "a discriminator that takes labels cannot be asked to tell them: use one or the other",
        )
    return None


def _check_head(spec: "JobSpec") -> tuple[str, str] | None:
    if isinstance(spec.losses.classes, AuxiliarySpec) and not takes_labels(spec.generator.layers):
        return (
            "generator.layers",
            "classes: {kind: auxiliary} wants fakes of a known class: let the generator take labels, such as by a "
            "first layer `labels`",
        )
    if spec.adaptive_advantage is not None and spec.losses.discriminator in ("none", "catgan"):
        return "adaptive_advantage", f"losses.discriminator: {spec.losses.discriminator} has no ratio of losses"
    return None


def _check_techniques(spec: "JobSpec") -> tuple[str, str] | None:
    for index, part in enumerate(spec.techniques):
        if spec.losses.discriminator == "none" and part.technique not in _FOR_CLASSIFIERS:
            return (
                f"techniques.{index}",
                f"{part.technique} needs a GAN, and losses.discriminator is none; allowed then: "
                f"{', '.join(_FOR_CLASSIFIERS)}",
            )
        if isinstance(part, GradientPenaltySpec | R1Spec) and spec.losses.discriminator == "catgan":
            return f"techniques.{index}", f"{part.technique} bounds the slope of one logit, and catgan has none"
        if isinstance(part, EmaDiscriminatorSpec) and spec.losses.classes is None:
            return f"techniques.{index}", "ema_discriminator is for measuring classes: give losses.classes"
    return None


def _check_metrics(spec: "JobSpec") -> tuple[str, str] | None:
    metrics = spec.evaluation.metrics if spec.evaluation else ()
    if "accuracy" in metrics and not spec.losses.uses_labels:
        return (
            "evaluation.metrics",
            "accuracy needs a discriminator that learns classes: give losses.classes a weight",
        )
    if "label_agreement" in metrics and not takes_labels(spec.generator.layers):
        return (
            "evaluation.metrics",
            "label_agreement asks whether fakes show the class that they were asked for: let the generator take "
            "labels, such as by a first layer `labels`",
        )
    return None


def find_share_problem(spec: "JobSpec", count: int) -> tuple[str, str] | None:
    """Return the first field that keeps `count` processes from computing what one does, and why, or None."""
    if spec.batch_size % count:
        return "batch_size", f"{spec.batch_size} cannot be dealt out to {count} processes evenly."
    if spec.speed.compile or spec.speed.cuda_graphs:
        return "speed", "speed.compile and speed.cuda_graphs work in one process alone; leave them out."
    for player, network in (("generator", spec.generator), ("discriminator", spec.discriminator)):
        mixing = _find_mixing_layer(network.layers)
        if mixing is not None:
            return (
                player,
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


def find_speed_problem(spec: "JobSpec") -> tuple[str, str] | None:
    """Return the first field that a recorded step cannot follow, and why, or None."""
    if not spec.speed.cuda_graphs:
        return None
    if spec.device == "cpu":
        return (
            "speed.cuda_graphs",
            "there are CUDA graphs on CUDA alone; set device to auto or cuda, or leave it out",
        )
    if spec.adaptive_advantage is not None:
        return (
            "adaptive_advantage",
            "speed.cuda_graphs replays the same updates in each iteration; use one or the other",
        )
    for index, part in enumerate(spec.techniques):
        if isinstance(part, R1Spec) and part.every > 1:
            return (
                f"techniques.{index}.every",
                "speed.cuda_graphs replays the same penalties each time; set this to 1, or use one or the other",
            )
    return None


def find_transfer_problem(spec: "JobSpec") -> tuple[str, str] | None:
    """Return the first field of `transfer` that does not fit, and what is wrong with it, or None."""
    if spec.transfer is None:
        return None
    for check in (_check_times, _check_labels, _check_kept, _check_transfer_head):
        problem = check(spec, spec.transfer)
        if problem:
            return f"transfer.{problem[0]}", problem[1]
    return None


def _check_times(spec: "JobSpec", transfer: TransferSpec) -> tuple[str, str] | None:
    for index, iteration in enumerate(transfer.at):
        if iteration > spec.iterations:
            return f"at.{index}", f"the run ends at iteration {spec.iterations:,}, before {iteration:,}"
    return None


def _check_labels(spec: "JobSpec", transfer: TransferSpec) -> tuple[str, str] | None:
    count = spec.dataset.class_count
    if count < 2:
        return "labels", "classes are to be told: give dataset.classes, 2 or more"
    if transfer.labels < count:
        return "labels", f"{transfer.labels} labels are too few for {count} classes: each needs one at least"
    return None


def _check_kept(spec: "JobSpec", transfer: TransferSpec) -> tuple[str, str] | None:
    layers = spec.discriminator.layers
    if transfer.kept_layers >= len(layers):
        return (
            "kept_layers",
            f"the discriminator has {len(layers)} layers and the last must go: keep at most {len(layers) - 1}",
        )
    for index, layer in enumerate(layers[: transfer.kept_layers]):
        if not _stands_alone(layer):
            return "kept_layers", f"the discriminator's layer {index} ({layer.layer}) {_WANTS_MORE}"
    return None


def _check_transfer_head(spec: "JobSpec", transfer: TransferSpec) -> tuple[str, str] | None:
    for index, layer in enumerate(transfer.head):
        if not _stands_alone(layer):
            return f"head.{index}", f"{layer.layer} {_WANTS_MORE}"
    kept = spec.discriminator.layers[: transfer.kept_layers]
    features = output_shape(kept, spec.dataset.shape, spec.dataset.class_count)
    try:
        output = output_shape(transfer.head, features)
        parameters = count_parameters(transfer.head, features)
    except ShapeMismatch as error:
        return f"head.{error.layer_index}", str(error)
    wanted = (spec.dataset.class_count,)
    if output != wanted:
        last = len(transfer.head) - 1
        return (
            f"head.{last}",
            f"the head's output after layer {last} ({transfer.head[last].layer}) is {show_shape(output)}, "
            f"but must be {show_shape(wanted)} (one logit for each class); it gets {show_shape(features)}",
        )
    return None if parameters else ("head", "a head without weights cannot learn; end it with a dense layer")


_WANTS_MORE = "looks at labels or at a reference batch beside the images, which a classifier does not have"


def _stands_alone(layer: LayerSpec) -> bool:
    """Whether the layer needs nothing but its input."""
    return not takes_labels([layer]) and not (isinstance(layer, Norm) and layer.kind == "virtual_batch")
