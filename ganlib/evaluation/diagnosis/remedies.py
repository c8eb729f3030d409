"""Remedies: what the papers did about faults of training, each as a change of a spec where it applies."""

from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

from ganlib.evaluation.diagnosis.advice import Advice, JsonObject, Remedy

_PLAYERS = ("generator", "discriminator")
# Rates of Adam above the first are high, below the second low; of plain gradient descent a hundred times as much.
_HIGH_RATE, _LOW_RATE = 2e-3, 2e-5
_SGD_FACTOR = 100
# The losses whose logits say which images the discriminator calls real.
_SAYS_REAL = ("minimax", "least_squares", "hinge")


def _layers(spec: JsonObject, player: str) -> list[dict[str, Any]]:
    return list(spec.get(player, {}).get("layers", []))


def _replace_kind(spec: JsonObject, old: str, new: dict[str, Any]) -> dict[str, Any]:
    """Return the players' layers with one kind of hidden activation replaced, where there is one."""
    changes: dict[str, Any] = {}
    for player in _PLAYERS:
        layers = _layers(spec, player)
        last = max((at for at, layer in enumerate(layers) if "size" in layer), default=0)
        replaced = [
            dict(new) if at < last and layer.get("kind") == old else deepcopy(layer)
            for at, layer in enumerate(layers)
        ]
        if replaced != layers:
            changes[f"{player}.layers"] = replaced
    return changes


def _swap(old: str, new: dict[str, Any], title: str, text: str, source: str) -> Remedy:
    def remedy(spec: JsonObject) -> Advice | None:
        changes = _replace_kind(spec, old, new)
        return Advice(title, text, source, changes) if changes else None

    return remedy


relu_for_sigmoid = _swap(
    "sigmoid",
    {"layer": "activation", "kind": "relu", "slope": 0.2},
    "ReLU for sigmoid",
    "A saturated sigmoid passes hardly any gradient; with ReLU the same network learns several digits.",
    "Winkler (2018), section 4.7.2; Glorot et al. (2011)",
)
leaky_for_relu = _swap(
    "relu",
    {"layer": "activation", "kind": "leaky_relu", "slope": 0.2},
    "Leaky ReLU for ReLU",
    "A leaky unit cannot die: it passes a gradient for negative numbers, too.",
    "Maas et al. (2013); Radford et al. (2016), section 3",
)


def _rate(spec: JsonObject, player: str) -> tuple[float, bool]:
    """Return a player's learning rate, and whether it is one of plain gradient descent."""
    optimiser = spec.get("optimisers", {}).get(player, {})
    return float(optimiser.get("learning_rate", 2e-4)), optimiser.get("kind", "adam") == "sgd"


def _scale_rates(players: tuple[str, ...], factor: float, title: str, text: str, source: str) -> Remedy:
    def remedy(spec: JsonObject) -> Advice | None:
        changes = {
            f"optimisers.{player}.learning_rate": float(f"{_rate(spec, player)[0] * factor:.3g}")
            for player in players
        }
        return Advice(title, text, source, changes)

    return remedy


lower_rates = _scale_rates(
    _PLAYERS,
    0.25,
    "A quarter of both rates",
    "Large steps throw the players past each other; DCGAN's lower rates made the same networks stable.",
    "Radford et al. (2016), section 4",
)
lower_generator_rate = _scale_rates(
    ("generator",),
    0.25,
    "A quarter of the generator's rate",
    "A generator that is faster than its discriminator runs to whatever picture fools it best at the moment.",
    "Heusel et al. (2017), section 2",
)
lower_discriminator_rate = _scale_rates(
    ("discriminator",),
    0.25,
    "A quarter of the discriminator's rate",
    "A slower discriminator leaves the generator time to follow.",
    "Heusel et al. (2017), section 2",
)


def lower_rates_if_high(spec: JsonObject) -> Advice | None:
    """A quarter of both rates where one is high for its optimiser."""
    is_high = [rate > _HIGH_RATE * (_SGD_FACTOR if sgd else 1) for rate, sgd in (_rate(spec, p) for p in _PLAYERS)]
    return lower_rates(spec) if any(is_high) else None


def higher_rates_if_low(spec: JsonObject) -> Advice | None:
    """The rates of DCGAN where one is far below them."""
    changes = {}
    for player in _PLAYERS:
        rate, is_sgd = _rate(spec, player)
        if rate < _LOW_RATE * (_SGD_FACTOR if is_sgd else 1):
            changes[f"optimisers.{player}.learning_rate"] = 2e-4 * (_SGD_FACTOR if is_sgd else 1)
    text = "With steps this small nothing moves; these are the rates that DCGAN is trained with."
    return Advice("Higher rates", text, "Radford et al. (2016), section 4", changes) if changes else None


def _techniques(spec: JsonObject) -> list[dict[str, Any]]:
    return [dict(each) for each in spec.get("techniques", [])]


def _has(spec: JsonObject, technique: str) -> bool:
    return any(each.get("technique") == technique for each in _techniques(spec))


def _add(technique: dict[str, Any], title: str, text: str, source: str) -> Remedy:
    def remedy(spec: JsonObject) -> Advice | None:
        if _has(spec, technique["technique"]):
            return None
        return Advice(title, text, source, {"techniques": [*_techniques(spec), dict(technique)]})

    return remedy


historical_averaging = _add(
    {"technique": "historical_averaging"},
    "Historical averaging",
    "A pull towards each player's own past damps circles around an equilibrium.",
    "Salimans et al. (2016), section 3.3",
)
average_generator = _add(
    {"technique": "ema_generator", "decay": 0.99},
    "Average of the generator",
    "Samples of averaged weights show what the generator does on the whole, not in which mode it is just now.",
    "Yazıcı et al. (2019)",
)
_r1 = _add(
    {"technique": "r1"},
    "R1 penalty",
    "A penalty on the discriminator's gradient at real images keeps it from growing ever steeper.",
    "Mescheder et al. (2018), section 4.1",
)
differentiable_augmentation = _add(
    {"technique": "diff_augment"},
    "Differentiable augmentation",
    "Random changes of all images that the discriminator sees keep it from remembering a small data set.",
    "Zhao et al. (2020), section 3.2",
)
_adaptive_augmentation = _add(
    {"technique": "ada"},
    "Adaptive augmentation",
    "Changes of all images that the discriminator sees, so many that it does not tell its training images apart.",
    "Karras et al. (2020), sections 2 and 3",
)
_label_smoothing = _add(
    {"technique": "label_smoothing"},
    "One-sided label smoothing",
    "A target of 0.9 for real images keeps the discriminator from extreme certainty.",
    "Salimans et al. (2016), section 3.4",
)
_gradient_penalty = _add(
    {"technique": "gradient_penalty"},
    "Gradient penalty",
    "A Wasserstein critic is only meaningful while it is Lipschitz; without a bound its losses grow for ever.",
    "Gulrajani et al. (2017), section 4",
)


def r1(spec: JsonObject) -> Advice | None:
    """R1, for losses that are not a critic's."""
    return None if _loss(spec) in ("wasserstein", "catgan", "none") else _r1(spec)


def adaptive_augmentation(spec: JsonObject) -> Advice | None:
    """Augmentation that follows the overfitting, for pictures, and losses whose logits say what is real.

    p would not leave 0 within a short run: its way to 1 is a quarter of the run's real images at most.
    """
    fits = spec.get("dataset", {}).get("name") != "gaussians" and _loss(spec) in _SAYS_REAL
    advice = _adaptive_augmentation(spec) if fits else None
    if advice is None:
        return None
    seen = spec.get("iterations", 1000) * spec.get("discriminator_steps", 1) * spec.get("batch_size", 64)
    speed = min(500.0, float(f"{max(seen / 4000, 0.001):.2g}"))
    *others, added = advice.changes["techniques"]
    return replace(advice, changes={"techniques": [*others, {**added, "speed": speed}]})


def label_smoothing(spec: JsonObject) -> Advice | None:
    """One-sided label smoothing, which the minimax loss alone has."""
    return _label_smoothing(spec) if _loss(spec) == "minimax" else None


def gradient_penalty_for_critic(spec: JsonObject) -> Advice | None:
    """A gradient penalty for a critic that has no bound of its own."""
    if _loss(spec) != "wasserstein" or _has(spec, "weight_clipping"):
        return None
    return _gradient_penalty(spec)


def instance_noise(spec: JsonObject) -> Advice | None:
    """Noise on all images that the discriminator sees, which fades over half of the run."""
    until = max(1, int(spec.get("iterations", 1000)) // 2)
    return _add(
        {"technique": "instance_noise", "std": 0.2, "until": until},
        "Instance noise",
        "Noise that fades makes real and generated images overlap: no discriminator can be always right.",
        "Arjovsky and Bottou (2017), section 3",
    )(spec)


def _loss(spec: JsonObject, player: str = "discriminator") -> str:
    default = "minimax" if player == "discriminator" else "non_saturating"
    return str(spec.get("losses", {}).get(player, default))


def non_saturating_loss(spec: JsonObject) -> Advice | None:
    """The non-saturating loss for the minimax one."""
    if _loss(spec, "generator") != "minimax":
        return None
    text = "log(1 − D(G(z))) is flat where the discriminator is right; −log D(G(z)) is steep there."
    source = "Goodfellow et al. (2014), section 3"
    return Advice("Non-saturating loss", text, source, {"losses.generator": "non_saturating"})


def minibatch_discrimination(spec: JsonObject) -> Advice | None:
    """Minibatch discrimination before the discriminator's last layer."""
    layers = _layers(spec, "discriminator")
    if not layers or any(layer.get("layer") == "minibatch_discrimination" for layer in layers):
        return None
    # A penalty of each image's own gradient, and a layer that mixes images, do not fit.
    if _has(spec, "gradient_penalty"):
        return None
    if layers[-1].get("layer") != "dense":
        return None
    added = {"layer": "minibatch_discrimination", "size": 50, "dimensions": 5}
    text = "A discriminator that sees how alike the samples of a batch are calls a batch of one kind generated."
    source = "Salimans et al. (2016), section 3.2"
    return Advice(
        "Minibatch discrimination", text, source, {"discriminator.layers": [*layers[:-1], added, layers[-1]]}
    )


def _has_norm(layers: list[dict[str, Any]]) -> bool:
    return any(layer.get("layer") == "norm" for layer in layers)


def batch_norm_in_generator(spec: JsonObject) -> Advice | None:
    """Batch norm before each hidden activation of a generator that has none."""
    layers = _layers(spec, "generator")
    if not layers or _has_norm(layers):
        return None
    last = max((at for at, layer in enumerate(layers) if "size" in layer), default=0)
    changed: list[dict[str, Any]] = []
    for at, layer in enumerate(layers):
        if at < last and layer.get("layer") == "activation":
            changed.append({"layer": "norm", "kind": "batch"})
        changed.append(deepcopy(layer))
    if changed == layers:
        return None
    text = (
        "It proved critical to get deep generators to begin learning, preventing them from collapsing all samples."
    )
    return Advice(
        "Batch norm in the generator", text, "Radford et al. (2016), section 3", {"generator.layers": changed}
    )


def smaller_advantage(spec: JsonObject) -> Advice | None:
    """One update of the generator an iteration."""
    if spec.get("generator_advantage", 1) == 1:
        return None
    text = "A generator that makes many updates before the discriminator reacts finds one picture that fools it."
    return Advice(
        "No generator advantage", text, "Goodfellow et al. (2014), section 3", {"generator_advantage": 1}
    )


def generator_advantage(spec: JsonObject) -> Advice | None:
    """Several updates of the generator an iteration."""
    if spec.get("generator_advantage", 1) > 1 or spec.get("discriminator_steps", 1) > 1:
        return None
    text = "More updates of the generator for one of the discriminator's balance players of unequal strength."
    return Advice("Generator advantage 2:1", text, "Weaver (2018)", {"generator_advantage": 2})


def fewer_discriminator_steps(spec: JsonObject) -> Advice | None:
    """One update of the discriminator an iteration."""
    if spec.get("discriminator_steps", 1) == 1 or _loss(spec) == "wasserstein":
        return None
    text = "Each further update makes the discriminator more certain; a critic alone is to be trained to the end."
    return Advice(
        "One discriminator step", text, "Goodfellow et al. (2014), section 3", {"discriminator_steps": 1}
    )


def float32(spec: JsonObject) -> Advice | None:
    """Whole precision."""
    if spec.get("precision", "auto") == "float32":
        return None
    text = "Sums in bfloat16 lose small differences; in float32 they are kept."
    return Advice("float32", text, "Micikevicius et al. (2018)", {"precision": "float32"})


def _sees_labels(layers: list[dict[str, Any]]) -> bool:
    return any(
        layer.get("layer") in ("labels", "projection") or layer.get("kind") == "conditional_batch"
        for layer in layers
    )


def labels_in_discriminator(spec: JsonObject) -> Advice | None:
    """A projection at the discriminator's end where it sees no labels."""
    layers = _layers(spec, "discriminator")
    if not _sees_labels(_layers(spec, "generator")) or _sees_labels(layers):
        return None
    if spec.get("losses", {}).get("classes") or layers[-1].get("layer") != "dense":
        return None
    changes = {"discriminator.layers": [*layers[:-1], {"layer": "projection"}]}
    text = "A discriminator that does not see the label cannot tell a picture of the wrong class."
    return Advice("Labels in the discriminator", text, "Miyato and Koyama (2018), section 3", changes)


def auxiliary_classes(spec: JsonObject) -> Advice | None:
    """More weight for the class loss where there is one."""
    classes = spec.get("losses", {}).get("classes")
    if not classes or classes.get("kind") != "auxiliary":
        return None
    weight = 4 * float(classes.get("generator_weight", 1.0))
    text = "The generator pays more for a sample of the wrong class."
    return Advice(
        "More weight for classes", text, "Odena et al. (2017)", {"losses.classes.generator_weight": weight}
    )


def check_labels(spec: JsonObject) -> Advice | None:
    """No change of the spec: labels may be wrong in the data."""
    text = "Look whether the data set's own labels belong to its images: shuffled ones cannot be followed."
    return Advice("Check the labels", text, "", {})


def _shorten(spec: JsonObject, factor: float, title: str, text: str, source: str) -> Advice | None:
    return Advice(title, text, source, {"iterations": max(1, int(spec.get("iterations", 1000) * factor))})


fewer_iterations: Remedy = partial(
    _shorten,
    factor=0.5,
    title="Half the iterations",
    text="A generator begins to repeat a small data set only after a while: its best iteration lies before that.",
    source="Karras et al. (2020), section 2",
)
more_iterations: Remedy = partial(
    _shorten,
    factor=2.0,
    title="Twice the iterations",
    text="Networks learn to smooth the pattern over, only slowly.",
    source="Odena et al. (2016)",
)


def smaller_networks(spec: JsonObject) -> Advice | None:
    """No change of the spec: how to make networks smaller is a matter of taste."""
    text = "Networks with fewer weights have less room for whole images: halve the sizes of their layers."
    return Advice("Smaller networks", text, "", {})


def even_kernels(spec: JsonObject) -> Advice | None:
    """Kernels that their stride divides, with a padding that keeps the size."""
    layers = _layers(spec, "generator")
    changed = deepcopy(layers)
    for layer in changed:
        stride, kernel = layer.get("stride", 1), layer.get("kernel", 1)
        if layer.get("layer") == "transposed_conv" and stride > 1 and kernel % stride:
            # The size (H − 1)·stride − 2·padding + kernel + output_padding stays.
            extra = layer.get("output_padding", 0)
            layer["kernel"] = kernel + stride - kernel % stride
            grown = layer["kernel"] - kernel
            layer["output_padding"] = extra - grown if extra >= grown else (extra - grown) % 2
            layer["padding"] = layer.get("padding", 0) + max(0, grown - extra + layer["output_padding"]) // 2
    if changed == layers:
        return None
    text = "Where the stride divides the kernel, each pixel is written equally often."
    return Advice("Kernels that the stride divides", text, "Odena et al. (2016)", {"generator.layers": changed})
