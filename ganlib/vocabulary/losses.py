"""Which of a loop's metrics are losses, and whose: people write g_loss, loss_G, errD, Loss/generator and more.

The diagnosis, the list of runs, a run's charts and comparisons all ask here.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from ganlib.vocabulary.metric import Player
from ganlib.vocabulary.training import DISCRIMINATOR_LOSS, GENERATOR_LOSS

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+|\(")
_JOINED = {
    "errg": ("err", "g"),
    "errd": ("err", "d"),
    "gloss": ("g", "loss"),
    "dloss": ("d", "loss"),
    "lossg": ("loss", "g"),
    "lossd": ("loss", "d"),
}
_PLAYERS: Mapping[Player, frozenset[str]] = {
    "generator": frozenset({"g", "gen", "generator", "netg"}),
    "discriminator": frozenset({"d", "dis", "disc", "discr", "discriminator", "critic", "netd"}),
}
_LOSSES = frozenset({"loss", "losses", "err", "error", "cost", "objective"})
# Words that say nothing against a name.
_PLAIN = frozenset(
    {"train", "training", "total", "net", "gan", "adv", "adversarial", "mean", "avg", "batch", "step"}
)
# Counters of the loop's own, which no chart is about.
_COUNTERS = frozenset({"epoch", "step", "iteration", "iter", "batch", "time", "lr"})
MOST_DRAWN, MOST_SPARKLINES = 3, 2


def find_losses(names: Iterable[str]) -> dict[str, Player]:
    """Return the metric that looks like each player's loss, the generator's first: `loss_G`, `d_loss`, `errD`.

    At most one of each, that which says the least besides.
    """
    found: dict[str, Player] = {}
    known = sorted(names)
    for metric in (GENERATOR_LOSS, DISCRIMINATOR_LOSS):
        best = metric.name if metric.name in known else _find_loss(known, metric.player)
        if best:
            found[best] = metric.player
    return found


def find_role(name: str) -> str | None:
    """Return the loss that a metric of this name is, by the name that ganlib gives it; None for any other metric.

    Unlike `find_losses`, which takes the likeliest, it says nothing of a name that says anything besides.
    """
    if not _LOSSES & set(_split(name)):
        return None
    return next(
        (each.name for each in (GENERATOR_LOSS, DISCRIMINATOR_LOSS) if _rank(name, each.player) == 0), None
    )


def choose_drawn(names: Iterable[str]) -> list[str]:
    """Return the metrics of the large chart where nobody chose some: the losses, else the first few."""
    known = sorted(names)
    if losses := list(find_losses(known)):
        return losses
    telling = [name for name in known if not _COUNTERS & set(_split(name))]
    # Losses of nobody in particular come first.
    telling.sort(key=lambda name: not is_loss(name))
    return (telling or known)[:MOST_DRAWN]


def choose_sparklines(names: Iterable[str]) -> dict[str, Player]:
    """Return the metrics of a run's sparkline, each with its player, who is empty of a loss of nobody's."""
    known = list(names)
    if losses := find_losses(known):
        return losses
    return dict.fromkeys([name for name in choose_drawn(known) if is_loss(name)][:MOST_SPARKLINES], "")


@lru_cache(4096)
def is_loss(name: str) -> bool:
    """Return whether a metric of this name looks like a loss, of a player or of nobody in particular."""
    return bool(_LOSSES & set(_split(name))) or any(_rank(name, player) is not None for player in _PLAYERS)


def _find_loss(names: list[str], player: Player) -> str:
    ranked = sorted((rank, len(name), name) for name in names if (rank := _rank(name, player)) is not None)
    return ranked[0][2] if ranked else ""


def _rank(name: str, player: Player) -> int | None:
    """Return how much a name says besides the player and the loss; None where it says another thing."""
    words = _split(name)
    mine = [word for word in words if word in _PLAYERS[player]]
    others = {word for each, own in _PLAYERS.items() if each != player for word in own}
    if not mine or others & set(words):
        return None
    rest = [word for word in words if word not in _PLAYERS[player] and word not in _PLAIN]
    if rest and not _LOSSES & set(rest):
        return None
    # Without a word for a loss it may be anything of the player's: other names come first.
    return len([word for word in rest if word not in _LOSSES]) + (0 if rest else 10)


def _split(name: str) -> list[str]:
    words = (word.lower() for word in _WORD.findall(name))
    return [part for word in words for part in _JOINED.get(word, (word,))]
