"""What a spec says of labels must fit together: data set, networks, losses and techniques (no torch)."""

from typing import TYPE_CHECKING

from ganlib.layers import takes_labels
from ganlib.sections.losses import AuxiliarySpec, CategoriesSpec
from ganlib.sections.techniques import EmaDiscriminatorSpec, GradientPenaltySpec, R1Spec

if TYPE_CHECKING:
    from ganlib.spec import JobSpec

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
