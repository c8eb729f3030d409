"""What a spec says of classifier transfer must fit its data set and its discriminator (no torch)."""

from typing import TYPE_CHECKING

from ganlib.errors import ShapeMismatch
from ganlib.layers import LayerSpec, Norm, takes_labels
from ganlib.sections.transfer import TransferSpec
from ganlib.shapes import count_parameters, output_shape, show_shape

if TYPE_CHECKING:
    from ganlib.spec import JobSpec


def find_transfer_problem(spec: "JobSpec") -> tuple[str, str] | None:
    """Return the first field of `transfer` that does not fit, and what is wrong with it, or None."""
    if spec.transfer is None:
        return None
    for check in (_check_times, _check_labels, _check_kept, _check_head):
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


def _check_head(spec: "JobSpec", transfer: TransferSpec) -> tuple[str, str] | None:
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
