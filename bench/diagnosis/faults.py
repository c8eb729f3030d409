"""Plants faults in specs, each in several ways, and lists the healthy runs beside them."""

from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

from bench.diagnosis import networks
from bench.diagnosis.networks import Spec

PLANTED_COUNT, HEALTHY_COUNT = 20, 60


def change(spec: Spec, **changes: Any) -> Spec:
    """Return a copy with fields set; `__` in a name goes a level down."""
    changed = deepcopy(spec)
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = changed
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return changed


def rates(spec: Spec, generator: float, discriminator: float) -> Spec:
    """Set both learning rates."""
    return change(
        spec,
        optimisers__generator__learning_rate=generator,
        optimisers__discriminator__learning_rate=discriminator,
    )


def sgd(spec: Spec, generator: float, discriminator: float) -> Spec:
    """Train both players by plain gradient descent."""
    players = {"generator": generator, "discriminator": discriminator}
    return change(
        spec, optimisers={name: {"kind": "sgd", "learning_rate": rate} for name, rate in players.items()}
    )


Plant = Callable[[Random, dict[str, Spec], str], Spec]


def _any(random: Random, named: dict[str, Spec], *words: str) -> Spec:
    return named[random.choice([name for name in named if not words or any(word in name for word in words)])]


def sigmoid_networks(random: Random, named: dict[str, Spec], kind: str) -> Spec:
    """One sigmoid layer and plain gradient descent (Winkler, 2018, section 4.7.1)."""
    spec = random.choice(networks.SIGMOID[kind])
    return change(sgd(spec, *[random.uniform(0.2, 0.5)] * 2), iterations=1500, batch_size=128)


def generator_ahead(random: Random, named: dict[str, Spec], kind: str) -> Spec:
    """Many updates of the generator for one of a slow discriminator."""
    spec = rates(_any(random, named, "dense"), 0.002, random.uniform(5e-5, 1e-4))
    return change(spec, generator_advantage=random.choice([12, 16]), iterations=500)


def weak_discriminator(random: Random, named: dict[str, Spec], kind: str) -> Spec:
    """A discriminator of two hidden units, and a generator that is some times as fast."""
    spec = rates(
        _any(random, named, "mnist16 dense", "digits dense", "mnist28"), 0.002, random.uniform(2e-4, 4e-4)
    )
    players = [{"layer": "dense", "size": 2}, "leaky_relu", {"layer": "dense", "size": 1}]
    return change(spec, discriminator={"layers": players}, generator_advantage=6, iterations=700)


def fast_generator(random: Random, named: dict[str, Spec], kind: str) -> Spec:
    """A generator that is some times as fast: few kinds, and others again and again."""
    spec = rates(_any(random, named, "digits", "mnist16 conv"), random.uniform(0.002, 0.004), 5e-4)
    return change(spec, generator_advantage=random.choice([4, 6]), iterations=600)


def slow_discriminator(random: Random, named: dict[str, Spec], kind: str) -> Spec:
    """A discriminator that is slow for its generator: few kinds."""
    spec = rates(_any(random, named, "mnist16 dense"), random.uniform(0.004, 0.008), 2e-4)
    return change(spec, generator_advantage=random.choice([3, 4]), iterations=900)


def explosion(random: Random, named: dict[str, Spec], kind: str) -> Spec:
    """Learning rates far too high."""
    way = random.randrange(3)
    spec = _any(random, named, "mnist", "digits", "ring", "grid")
    if way == 0:
        return change(rates(spec, random.uniform(0.5, 3), random.uniform(0.5, 3)), iterations=300)
    if way == 1:
        spec = change(spec, losses={"discriminator": "least_squares", "generator": "least_squares"})
        return change(sgd(spec, random.uniform(2, 8), random.uniform(2, 8)), iterations=400)
    spec = change(spec, losses={"discriminator": "wasserstein", "generator": "wasserstein"})
    return change(rates(spec, random.uniform(0.003, 0.01), random.uniform(0.003, 0.01)), iterations=700)


def stillness(random: Random, named: dict[str, Spec], kind: str) -> Spec:
    """Rates far too low, rates that fall to 0 at once, or dead units."""
    way = random.randrange(3)
    if way == 0:
        return change(rates(_any(random, named), *[random.uniform(1e-8, 1e-7)] * 2), iterations=800)
    if way == 1:
        spec, end = _any(random, named), random.choice([20, 40, 60])
        schedule = {"kind": "linear", "from_iteration": 0, "to_iteration": end, "factor": 0}
        players = ("generator", "discriminator")
        return change(spec, iterations=800, **{f"optimisers__{name}__schedule": schedule for name in players})
    width = 100 if kind == "tuning" else random.choice([88, 160])
    spec = networks.dense(networks.MNIST, 28, 1, width, 1, "relu", norm=False)
    spec["discriminator"]["layers"][1] = "relu"
    # Above 1 some of them explode before they die.
    return change(sgd(spec, *[random.uniform(0.8, 1.2)] * 2), iterations=1500)


def overpowering(random: Random, named: dict[str, Spec], kind: str) -> Spec:
    """A discriminator that is too fast for its generator."""
    way = random.randrange(3)
    spec = _any(random, named, "mnist", "digits")
    if way == 0:
        spec = change(spec, losses__generator="minimax", discriminator_steps=random.choice([3, 5]))
        return change(rates(spec, 1e-4, 0.002), iterations=500)
    if way == 1:
        return change(rates(spec, random.uniform(1e-6, 5e-6), 0.001), iterations=600)
    return change(rates(spec, random.uniform(1e-5, 3e-5), 0.003), discriminator_steps=4, iterations=400)


def tiny_data(random: Random, named: dict[str, Spec], kind: str) -> Spec:
    """About a hundred of the training images, and a discriminator that sees each of them again and again."""
    left = random.choice([40, 60, 100])
    spec = _any(random, named, "mnist16")
    return change(spec, limit=left + 80, dataset__validation=50, iterations=1500)


def learnt_by_heart(random: Random, named: dict[str, Spec], kind: str) -> Spec:
    """A dozen or two of images and enough weights to hold them."""
    left = random.choice([12, 16, 20])
    spec = _any(random, named, "mnist16 dense")
    return change(spec, limit=left + 40, dataset__validation=40, iterations=3000, batch_size=32)


def labels_without_use(random: Random, named: dict[str, Spec], kind: str) -> Spec:
    """A discriminator that never sees the label, or labels that were shuffled."""
    if random.random() < 0.5:
        return change(random.choice(networks.IGNORED[kind]), iterations=1200)
    spec = random.choice(networks.CONDITIONAL[kind][:2])
    return change(spec, iterations=1200, shuffled_labels=True)


FAULTS: dict[str, tuple[Plant, ...]] = {
    "mode_collapse": (sigmoid_networks, generator_ahead, weak_discriminator),
    "partial_collapse": (fast_generator, slow_discriminator),
    "divergence": (explosion,),
    "no_progress": (stillness,),
    "discriminator_overpowers": (overpowering,),
    "discriminator_overfits": (tiny_data,),
    "memorisation": (learnt_by_heart,),
    "label_ignored": (labels_without_use,),
}
# Names that are right, too: what a person may as well call the same pictures.
ALSO_RIGHT = {
    "mode_collapse": {"partial_collapse", "oscillating_modes"},
    "partial_collapse": {"mode_collapse", "oscillating_modes"},
    "discriminator_overpowers": {"generator_starved"},
}


def plant(fault: str, index: int, kind: str) -> Spec:
    """Return planted run `index` of a fault; kind: `tuning` or `reported`."""
    random = Random(f"{kind} 4/{fault}/{index}")
    named = networks.TUNING if kind == "tuning" else networks.REPORTED
    plants = FAULTS[fault]
    spec = plants[index % len(plants)](random, named, kind)
    return change(spec, seed=(0 if kind == "tuning" else 170_000) + index, name=f"{fault}-{index}")


def healthy(index: int, kind: str) -> Spec:
    """Return healthy run `index`: the networks as they are, conditional ones, and other losses."""
    random = Random(f"{kind} 4/healthy/{index}")
    named = networks.TUNING if kind == "tuning" else networks.REPORTED
    # The pictures of the small emoji networks have artefacts, as their grids show.
    choices = [spec for name, spec in named.items() if "emoji" not in name] + networks.CONDITIONAL[kind]
    spec = choices[index % len(choices)]
    if index % 4 == 3:
        spec = change(spec, losses={"discriminator": "least_squares", "generator": "least_squares"})
        spec = rates(spec, 5e-4, 5e-4)
    elif index % 8 == 5:
        spec = rates(change(spec, losses={"discriminator": "hinge", "generator": "hinge"}), 5e-4, 5e-4)
    iterations = 1500 if spec["dataset"]["name"] == "gaussians" else random.choice([800, 1200, 1600])
    return change(
        spec, iterations=iterations, seed=(500 if kind == "tuning" else 180_000) + index, name=f"healthy-{index}"
    )
