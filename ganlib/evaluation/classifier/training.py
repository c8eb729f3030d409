"""Trains an evaluation classifier: Adam, one rise and fall of the learning rate, slightly shifted images."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR

from ganlib.datasets import LabelledImages, load_train_and_test
from ganlib.evaluation.classifier.network import (
    ClassifierFacts,
    ClassifierNetwork,
    ClassifierRecipe,
    EvaluationClassifier,
    prepare_images,
)
from ganlib.evaluation.metrics.classes import classifier_score
from ganlib.runtime.device import autocast, choose_precision
from ganlib.runtime.random_streams import make_generator, reproducible_torch, seed_layers
from ganlib.training.checkpoint import digest_tensors

# Part of the seeds of version 1: another word would give other weights.
_SEED_WORD = "judge"


class ClassifierAbandoned(Exception):
    """Training an evaluation classifier was asked to stop."""


def train_evaluation_classifier(
    name: str,
    recipe: ClassifierRecipe,
    device: torch.device,
    say: Callable[[str], None],
    should_stop: Callable[[], bool],
) -> EvaluationClassifier:
    """Train the classifier of a data set from its fixed seed; the same hardware gives the same weights.

    Torch's random state is as before afterwards. say gets a line for each fifth of it; should_stop is called
    before each step. Raises DatasetUnavailable, ClassifierAbandoned.
    """
    training, held_out = load_train_and_test(recipe.dataset)
    with reproducible_torch(device):
        seed_layers(device, recipe.version, _SEED_WORD, name)
        network = ClassifierNetwork(recipe).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        _fit(name, recipe, network, training, say, should_stop)
    return measure_classifier(name, recipe, network, held_out)


def measure_classifier(
    name: str, recipe: ClassifierRecipe, network: ClassifierNetwork, held_out: LabelledImages
) -> EvaluationClassifier:
    """Return the classifier with its facts, measured on the held-out images."""
    device = network.head.weight.device
    unknown = ClassifierFacts(name, recipe.version, 0.0, 0, 0.0, "")
    answers = EvaluationClassifier(unknown, network, recipe.dataset.shape).classify(held_out.images.to(device))
    right = answers.probabilities.argmax(1).cpu() == held_out.labels
    facts = ClassifierFacts(
        name=name,
        version=recipe.version,
        accuracy=right.double().mean().item(),
        held_out_count=len(right),
        real_score=classifier_score(answers.probabilities.cpu()).item(),
        digest=digest_tensors(weights_of(network)),
        chance=(torch.bincount(held_out.labels).max() / len(right)).item(),
    )
    return EvaluationClassifier(facts, network, recipe.dataset.shape)


def weights_of(network: ClassifierNetwork) -> dict[str, Tensor]:
    """Return the network's weights and statistics on the CPU."""
    return {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}


def _fit(
    name: str,
    recipe: ClassifierRecipe,
    network: ClassifierNetwork,
    training: LabelledImages,
    say: Callable[[str], None],
    should_stop: Callable[[], bool],
) -> None:
    device = network.head.weight.device
    images, classes = training.images.to(device), training.labels.to(device)
    generator = make_generator(torch.device("cpu"), recipe.version, _SEED_WORD, name, "order")
    precision = choose_precision("auto", device)
    step_count = len(images) // recipe.batch_size
    optimiser = Adam(network.parameters(), lr=recipe.learning_rate, fused=True)
    schedule = OneCycleLR(optimiser, recipe.learning_rate, epochs=recipe.epochs, steps_per_epoch=step_count)
    for epoch in range(1, recipe.epochs + 1):
        if (epoch - 1) % max(1, recipe.epochs // 5) == 0:
            say(
                f"Training the {name} classifier on {len(images):,} images, once: epoch {epoch} of {recipe.epochs}"
            )
        if epoch == 1:
            say("Samples will be measured by it, so the run itself begins when it is trained; later runs find it.")
        order = torch.randperm(len(images), generator=generator)
        # Batch norm needs whole batches, so an epoch leaves out the few images of the last one.
        for indices in torch.split(order[: step_count * recipe.batch_size], recipe.batch_size):
            if should_stop():
                raise ClassifierAbandoned
            moves = torch.randint(-recipe.shift, recipe.shift + 1, (2, len(indices)), generator=generator)
            chosen = indices.to(device)
            shifted = shift_images(images[chosen], moves.to(device))
            with autocast(device, precision):
                _, logits = network(prepare_images(shifted, recipe.dataset.shape))
            loss = functional.cross_entropy(logits.float(), classes[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()


def shift_images(images: Tensor, moves: Tensor) -> Tensor:
    """Move image n of (N, C, H, W) down by moves[0, n] and right by moves[1, n] pixels; what comes in is 0."""
    _, _, height, width = images.shape
    rows = torch.arange(height, device=images.device) - moves[0, :, None]
    columns = torch.arange(width, device=images.device) - moves[1, :, None]
    inside_rows, inside_columns = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    numbers = torch.arange(len(images), device=images.device)[:, None, None]
    picked = images.movedim(1, -1)[
        numbers, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    ]
    return picked.movedim(-1, 1) * (inside_rows[:, None, :, None] & inside_columns[:, None, None])
