"""Let the generator match the mean features of real images (Salimans et al., 2016, section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ganlib.errors import Problem
from ganlib.spec.fields import Natural, Positive
from ganlib.techniques.base import OtherSections, StepBatch, Technique, TechniqueSection

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ganlib.losses.adversarial import GeneratorLoss
    from ganlib.networks.players import Networks


class FeatureMatchingSpec(TechniqueSection):
    """Let the generator match the mean features of real images (Salimans et al., 2016, section 3.1).

    layer: the discriminator's layer that gives the features, counted from 0; without it, the last one before
    the output layer. mode: `replace` the generator's loss, as the paper does, or `add` to it. distance: of the two
    means, the sum of squares or the sum of absolute differences over all features.
    """

    position: ClassVar[int] = 6

    technique: Literal["feature_matching"] = "feature_matching"
    layer: Natural | None = None
    mode: Literal["replace", "add"] = "replace"
    distance: Literal["squared_l2", "l1"] = "squared_l2"
    weight: Positive = 1.0

    def find_problem(self, field: str, spec: OtherSections) -> Problem | None:
        """Refuse a layer that the discriminator does not have."""
        count = len(spec.discriminator.layers)
        if (-2 if self.layer is None else self.layer) not in range(-count, count):
            message = f"the discriminator's layers are counted from 0 to {count - 1}; name one of them"
            return Problem(f"{field}.layer", "", message)
        return None

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return FeatureMatching(self, len(spec.discriminator.layers))


class FeatureMatching(Technique):
    """‖E f(x) − E f(G(z))‖², where f is what one of D's layers gives, in the place of G's loss or beside it.

    Both means are over the batch. The real images are those of the discriminator's last update.
    """

    def __init__(self, section: FeatureMatchingSpec, layer_count: int) -> None:
        self._section = section
        self._layer_count = layer_count

    def choose_generator_loss(self, loss: GeneratorLoss) -> GeneratorLoss:
        """Return a loss of 0 if the features are to replace it."""
        from ganlib.losses.adversarial import no_loss

        return no_loss if self._section.mode == "replace" else loss

    def generator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor:
        """Return the weighted distance of the two means."""
        import torch

        with torch.no_grad():
            real = self._mean_features(networks, batch.real_images, batch.real_labels)
        fake = self._mean_features(networks, batch.fake_images, batch.fake_labels)
        difference = fake - real
        distance = difference.square() if self._section.distance == "squared_l2" else difference.abs()
        return self._section.weight * distance.sum()

    def _mean_features(self, networks: Networks, images: Tensor, labels: Tensor | None) -> Tensor:
        """Return the mean over the batch (features,) of images that were changed as D's always are."""
        from ganlib.runtime.batch_sharding import batch_mean

        features: list[Tensor] = []
        hook = self._find_layer(networks.discriminator).register_forward_hook(
            lambda module, inputs, outputs: features.append(outputs)
        )
        networks.discriminate_eagerly(images, labels)
        hook.remove()
        # With virtual batch norm the reference's own features come first, or in a pass of their own before.
        return batch_mean(features[-1][-len(images) :].float()).flatten()

    def _find_layer(self, discriminator: nn.Module) -> nn.Module:
        from ganlib.networks.layers import find_layers

        layers = find_layers(discriminator, self._layer_count)
        return layers[-2 if self._section.layer is None else self._section.layer]
