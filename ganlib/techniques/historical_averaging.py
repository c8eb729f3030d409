"""Hold each player's weights near the average of their past (Salimans et al., 2016, section 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ganlib.spec.fields import Positive
from ganlib.techniques.base import OtherSections, StepBatch, Technique, TechniqueSection

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ganlib.networks.players import Networks


class HistoricalAveragingSpec(TechniqueSection):
    """Add weight · ‖θ − mean of all former θ‖² to each player's loss (Salimans et al., 2016, section 3.3)."""

    needs_gan: ClassVar[bool] = False
    adds_to_discriminator_loss: ClassVar[bool] = True
    position: ClassVar[int] = 7

    technique: Literal["historical_averaging"] = "historical_averaging"
    weight: Positive = 1.0

    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""
        return HistoricalAveraging(self.weight)


class HistoricalAveraging(Technique):
    """Add weight · ‖θ − (1/t) Σ θ[i]‖² to each player's loss; θ[i] are the first weights and each iteration's."""

    _averages: dict[str, dict[str, Tensor]]

    def __init__(self, weight: float) -> None:
        self._weight = weight

    def start(self, networks: Networks) -> None:
        """Begin with the first weights."""
        self._averages = {
            player: {name: weights.detach().clone() for name, weights in network.named_parameters()}
            for player, network in _players(networks)
        }

    def discriminator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor:
        """Return the weighted squared distance of D's weights."""
        return self._penalty("discriminator", networks.discriminator)

    def generator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor:
        """Return the weighted squared distance of G's weights."""
        return self._penalty("generator", networks.generator)

    def after_iteration(self, networks: Networks, iteration: int) -> None:
        """Take the new weights into the averages, of which they are number iteration + 1."""
        import torch

        for player, network in _players(networks):
            averages = self._averages[player]
            currents = dict(network.named_parameters())
            torch._foreach_lerp_(
                list(averages.values()), [currents[name].detach() for name in averages], 1 / (iteration + 1)
            )

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averages."""
        return {
            f"{player}.{name}": average
            for player, averages in self._averages.items()
            for name, average in averages.items()
        }

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Take the averages back."""
        for name, average in self.state_dict().items():
            average.copy_(tensors[name])

    def _penalty(self, player: str, network: nn.Module) -> Tensor:
        import torch

        averages = self._averages[player]
        squares = [(weights - averages[name]).square().sum() for name, weights in network.named_parameters()]
        return self._weight * torch.stack(squares).sum()


def _players(networks: Networks) -> list[tuple[str, nn.Module]]:
    return [("generator", networks.generator), ("discriminator", networks.discriminator)]
