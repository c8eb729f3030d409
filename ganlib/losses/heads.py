"""Heads read the discriminator's outputs (N, M), by the kind of `losses.classes`; and the loss of classes.

Each head returns the logits that the losses for real against fake take, how real an item is as one logit, and the
K logits of its class.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cross_entropy

from ganlib.losses.adversarial import entropies


@dataclass(frozen=True)
class Head:
    """Reads outputs (N, M).

    source: → logits (N,), or (N, M) for CatGAN, that the losses take. realness: → (N,), more for what looks real.
    class_logits: → (N, K); raises ValueError where the discriminator does not classify.
    """

    source: Callable[[Tensor], Tensor]
    realness: Callable[[Tensor], Tensor]
    class_logits: Callable[[Tensor], Tensor]


def one_logit(outputs: Tensor) -> Tensor:
    """Return the only output (N, 1) as (N,)."""
    return outputs.squeeze(1)


def implicit_fake_logit(outputs: Tensor) -> Tensor:
    """Return log-sum-exp of K logits: the logit of D(x) = Z / (Z + 1), Z = Σ exp (Salimans et al., 2016, 5).

    That is a softmax over K + 1 classes in which the logit of the class `fake` is fixed at 0.
    """
    return outputs.logsumexp(1)


def fake_class_logit(outputs: Tensor) -> Tensor:
    """Return log-sum-exp of the first K of K + 1 logits minus the last: the logit of p(not fake)."""
    return outputs[:, :-1].logsumexp(1) - outputs[:, -1]


def first_logit(outputs: Tensor) -> Tensor:
    """Return the first of 1 + K outputs: real against fake."""
    return outputs[:, 0]


def negative_entropy(outputs: Tensor) -> Tensor:
    """Return minus the entropy of the categories: CatGAN's discriminator is to be certain of real images alone."""
    return -entropies(outputs)


def no_classes(outputs: Tensor) -> Tensor:
    """Refuse: there are no classes."""
    raise ValueError("This discriminator has no classes.")


def all_logits(outputs: Tensor) -> Tensor:
    """Return the outputs as they are."""
    return outputs


ONE_LOGIT = Head(one_logit, one_logit, no_classes)

HEADS: dict[str, Head] = {
    "semi_supervised": Head(implicit_fake_logit, implicit_fake_logit, all_logits),
    "semi_supervised_fake_class": Head(fake_class_logit, fake_class_logit, lambda outputs: outputs[:, :-1]),
    "shared_trunk": Head(first_logit, first_logit, lambda outputs: outputs[:, 1:]),
    "auxiliary": Head(first_logit, first_logit, lambda outputs: outputs[:, 1:]),
    "categories": Head(all_logits, negative_entropy, all_logits),
}


def class_loss(class_logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of −log p(label), p the softmax of logits (N, K), labels int64 (N,).

    In the K + 1 classes of Salimans et al. (2016, section 5) this is −log p(y | x, y < K + 1).
    """
    return cross_entropy(class_logits, labels)
