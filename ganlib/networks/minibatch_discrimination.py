"""Let a discriminator see how alike the items of a batch are (Salimans et al., 2016, section 3.2)."""

import torch
from torch import Tensor

from ganlib.networks.simple import FlatLinear, at_least_float32
from ganlib.runtime.batch_sharding import all_items


class MinibatchDiscrimination(FlatLinear):
    """Append o(x) to the features f(x): (N, …) → (N, A + size), where A is the number of features.

    M = f(x)·T with T of shape A × size × dimensions, c_b(i, j) = exp(−‖M_ib − M_jb‖₁), o(x_i)_b = Σ_j c_b(i, j).
    The sum is over all N items, i itself among them, as the paper writes it: o is 1 where all others are far
    away and N where all are equal. T is `weight`, as (size · dimensions, A).
    """

    def __init__(self, feature_count: int, size: int, dimensions: int) -> None:
        super().__init__(feature_count, size * dimensions, bias=False)
        self._matrix_shape = (size, dimensions)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return (N, A + size)."""
        # Sums of exponentials of distances: bfloat16 would see distances of close items as 0.
        matrices = at_least_float32(super().forward(input)).reshape(-1, *self._matrix_shape)
        distances = (all_items(matrices).unsqueeze(0) - matrices.unsqueeze(1)).abs().sum(3)
        closeness = torch.exp(-distances).sum(1)
        return torch.cat([input.flatten(1), closeness.to(input.dtype)], dim=1)
