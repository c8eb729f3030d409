"""Values that layers take from one batch before training begins: weight norm's lengths, a reference batch."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganlib.networks.layers import run_layer, takes_labels
from ganlib.networks.normalisation import MIXING_LAYERS, run_apart
from ganlib.spec.shapes import Shape


class ReferenceNetwork(nn.Sequential):
    """Layers that see a fixed reference batch before each batch: (N, *input_shape) → (N, *output_shape).

    The reference is a buffer, so a checkpoint holds it, and so are its labels where the network takes labels. Its
    activations are computed anew in each pass, because they change with the weights; gradients flow through them
    too. Layers that look at the whole batch, batch norm and minibatch discrimination, see the items alone; the
    reference goes through them by itself, and leaves no trace in running statistics.
    """

    reference: Tensor
    reference_labels: Tensor

    def __init__(self, layers: list[nn.Module], reference_size: int, input_shape: Shape) -> None:
        super().__init__(*layers)
        self.register_buffer("reference", torch.zeros(reference_size, *input_shape))
        if takes_labels(self):
            self.register_buffer("reference_labels", torch.zeros(reference_size, dtype=torch.int64))

    def forward(self, input: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: A002
        """Return what the layers make of the input, without the reference's share."""
        count = len(self.reference)
        activations = torch.cat([self.reference.to(input.dtype), input])
        own_labels = None if labels is None else self.reference_labels
        both_labels = None if labels is None else torch.cat([self.reference_labels, labels])
        for layer in self:
            if isinstance(layer, MIXING_LAYERS):
                reference = run_apart(layer, activations[:count], own_labels)
                activations = torch.cat([reference, run_layer(layer, activations[count:], labels)])
            else:
                activations = run_layer(layer, activations, both_labels)
        return activations[count:]


class FixedLength(nn.Module):
    """weight = length · v/‖v‖ for each output, only v is learned (Salimans et al., 2016, their released code).

    lengths: (1, …, outputs, …, 1), a buffer; as the weight's own until the first batch sets them.
    """

    lengths: Tensor

    def __init__(self, weight: Tensor, axis: int) -> None:
        super().__init__()
        self.others = [other for other in range(weight.dim()) if other != axis]
        self.register_buffer("lengths", torch.linalg.vector_norm(weight.detach(), dim=self.others, keepdim=True))

    def forward(self, directions: Tensor) -> Tensor:
        """Return the weight, of the directions' shape."""
        norms: Tensor = torch.linalg.vector_norm(directions, dim=self.others, keepdim=True)
        return directions * (self.lengths / norms)


def fix_lengths(module: nn.Module, axis: int) -> None:
    """Compute the module's weight, whose outputs lie on this axis, from directions and fixed lengths."""
    weight = module.weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(module).__name__} has no weight.")
    parametrize.register_parametrization(module, "weight", FixedLength(weight, axis))


def find_lengths(module: nn.Module) -> Tensor | None:
    """Return the lengths of a module whose weights are written as lengths and directions, learned or fixed."""
    parametrizations = getattr(module, "parametrizations", {})
    if "weight" not in parametrizations:
        return None
    how = parametrizations["weight"][0]
    lengths: Tensor | None = (
        how.lengths if isinstance(how, FixedLength) else getattr(parametrizations["weight"], "original0", None)
    )
    return lengths


def needs_first_batch(network: nn.Module) -> bool:
    """Return whether any layer takes its first values from data."""
    return any(
        isinstance(module, ReferenceNetwork) or find_lengths(module) is not None for module in network.modules()
    )


@torch.no_grad()
def show_first_batch(network: nn.Module, batch: Tensor, labels: Tensor | None = None) -> None:
    """Keep the batch (N, …) as the reference of virtual batch norm, and let it set weight norm's first lengths.

    labels: int64 (N,), for a network that takes labels.

    With t = v·x/‖v‖ over the batch, each weight-normalised layer gets g = 1/σ[t] and b = −μ[t]/σ[t], so that its
    outputs have mean 0 and variance 1 for each feature (Salimans and Kingma, 2016, section 3). Running
    statistics of batch norm stay as they were.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    before = [{name: buffer.clone() for name, buffer in norm.named_buffers()} for norm in norms]
    hooks = []
    for module in network.modules():
        if isinstance(module, ReferenceNetwork):
            module.reference.copy_(batch)
            if labels is not None:
                module.reference_labels.copy_(labels)
        if find_lengths(module) is not None:
            hooks.append(module.register_forward_hook(_set_lengths))
    network(batch) if labels is None else network(batch, labels)
    for hook in hooks:
        hook.remove()
    for norm, buffers in zip(norms, before, strict=True):
        norm.load_state_dict({**norm.state_dict(), **buffers})


def _set_lengths(module: nn.Module, _inputs: tuple[Tensor, ...], outputs: Tensor) -> Tensor:
    """Set g and b from the layer's outputs under its present g and b; return the outputs under the new ones."""
    lengths, bias = find_lengths(module), module.bias
    if lengths is None:
        raise TypeError("Only a weight-normalised layer has lengths to set.")
    others = [axis for axis in range(outputs.dim()) if axis != 1]
    mean, deviation = outputs.mean(others), outputs.std(others, correction=0).clamp_min(1e-8)
    # Dividing the outputs by σ is dividing g, which they are proportional to, by σ.
    lengths.div_(deviation.reshape(lengths.shape))
    shape = [-1 if axis == 1 else 1 for axis in range(outputs.dim())]
    if not isinstance(bias, Tensor):
        return outputs / deviation.reshape(shape)
    bias.copy_((bias - mean) / deviation)
    return (outputs - mean.reshape(shape)) / deviation.reshape(shape)
