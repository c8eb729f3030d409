"""How fast D's logit changes with its images: what gradient_penalty and r1 have in common."""

from collections.abc import Callable

import torch
from torch import Tensor


def slopes_of(realness: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the gradients (N, features) of D's logits at images (N, C, H, W), ready to be differentiated again.

    realness: images → one logit for each, (N,) or (N, 1). In float32 at least, whatever the precision of the run:
    the gradient of a gradient loses too much in bfloat16. Only where D judges each image for itself are these the
    slopes of single logits.
    """
    with torch.autocast(images.device.type, enabled=False):
        points = images.detach().to(torch.promote_types(images.dtype, torch.float32)).requires_grad_()
        logits = realness(points)
        (gradients,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    return gradients.flatten(1)
