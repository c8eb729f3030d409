"""Which of a run's metrics are drawn first: both players' losses, whatever somebody's own loop calls them."""

import re
from collections.abc import Iterable, Mapping

from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS, Player

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_PLAYERS: Mapping[Player, frozenset[str]] = {
    "generator": frozenset({"g", "gen", "generator", "netg"}),
    "discriminator": frozenset({"d", "dis", "disc", "discr", "discriminator", "critic", "netd"}),
}
_LOSSES = frozenset({"loss", "losses", "err", "error", "cost", "objective"})
# Words that say nothing against a name.
_PLAIN = frozenset({"train", "training", "total", "net", "gan", "adv", "adversarial", "mean", "avg"})
# Counters of the loop's own, which no chart is about.
_COUNTERS = frozenset({"epoch", "step", "iteration", "iter", "batch", "time", "lr"})
MOST_DRAWN = 3


def find_losses(names: Iterable[str]) -> dict[str, Player]:
    """Return the metric that looks like each player's loss, the generator's first: `loss_G`, `d_loss`, `errD`.

    At most one of each, that which says the least besides.
    """
    found: dict[str, Player] = {}
    known = sorted(names)
    for player, own in (
        (GENERATOR_LOSS.player, GENERATOR_LOSS.name),
        (DISCRIMINATOR_LOSS.player, DISCRIMINATOR_LOSS.name),
    ):
        best = own if own in known else _find_loss(known, player)
        if best:
            found[best] = player
    return found


def _find_loss(names: list[str], player: Player) -> str:
    ranked = sorted((rank, len(name), name) for name in names if (rank := _rank(name, player)) is not None)
    return ranked[0][2] if ranked else ""


def _rank(name: str, player: Player) -> int | None:
    """Return how much a name says besides the player and the loss; None where it says another thing."""
    words = [word.lower() for word in _WORD.findall(name)]
    mine = [word for word in words if word in _PLAYERS[player]]
    others = {word for each, own in _PLAYERS.items() if each != player for word in own}
    if not mine or others & set(words):
        return None
    rest = [word for word in words if word not in _PLAYERS[player] and word not in _PLAIN]
    if rest and not _LOSSES & set(rest):
        return None
    # Without a word for a loss it may be anything of the player's: other names come first.
    return len([word for word in rest if word not in _LOSSES]) + (0 if rest else 10)


def choose_drawn(names: Iterable[str]) -> list[str]:
    """Return the metrics of the large chart where nobody chose some: the losses, else the first few."""
    known = sorted(names)
    losses = list(find_losses(known))
    if losses:
        return losses
    telling = [name for name in known if not _COUNTERS & {word.lower() for word in _WORD.findall(name)}]
    return (telling or known)[:MOST_DRAWN]
