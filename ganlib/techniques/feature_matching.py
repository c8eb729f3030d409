"""Let the generator match the mean features of real images (Salimans et al., 2016, section 3.1)."""

import torch
from torch import Tensor, nn

from ganlib.losses import GeneratorLoss, no_loss
from ganlib.runtime.batch_sharding import batch_mean
from ganlib.spec.job import JobSpec
from ganlib.spec.sections.techniques import FeatureMatchingSpec
from ganlib.techniques.base import Networks, StepBatch, Technique


class FeatureMatching(Technique):
    """‖E f(x) − E f(G(z))‖², where f is what one of D's layers gives, in the place of G's loss or beside it.

    Both means are over the batch. The real images are those of the discriminator's last update.
    """

    def __init__(self, spec: FeatureMatchingSpec, job_spec: JobSpec) -> None:
        self._spec = spec
        self._layer_count = len(job_spec.discriminator.layers)

    def choose_generator_loss(self, loss: GeneratorLoss) -> GeneratorLoss:
        """Return a loss of 0 if the features are to replace it."""
        return no_loss if self._spec.mode == "replace" else loss

    def generator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor:
        """Return the weighted distance of the two means."""
        with torch.no_grad():
            real = self._mean_features(networks, batch.real_images, batch.real_labels)
        fake = self._mean_features(networks, batch.fake_images, batch.fake_labels)
        difference = fake - real
        distance = difference.square() if self._spec.distance == "squared_l2" else difference.abs()
        return self._spec.weight * distance.sum()

    def _mean_features(self, networks: Networks, images: Tensor, labels: Tensor | None) -> Tensor:
        """Return the mean over the batch (features,) of images that were changed as D's always are."""
        seen: list[Tensor] = []
        hook = self._find_layer(networks.discriminator).register_forward_hook(
            lambda module, inputs, outputs: seen.append(outputs)
        )
        networks.judge_plainly(images, labels)
        hook.remove()
        # With virtual batch norm the reference's own features come first.
        return batch_mean(seen[0][-len(images) :].float()).flatten()

    def _find_layer(self, discriminator: nn.Module) -> nn.Module:
        """Return the layer in the list that the spec's layers became, whatever it is wrapped in."""
        layers = next(
            module
            for module in discriminator.modules()
            if isinstance(module, nn.Sequential) and len(module) == self._layer_count
        )
        return layers[-2 if self._spec.layer is None else self._spec.layer]
