"""Oscillating modes: the few kinds that there are give way to others, and those too (Metz et al., 2017)."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.evaluation.diagnosis.rules.mode_collapse import MOST_KINDS
from ganlib.vocabulary import KIND_SHARE, KINDS, MOVEMENT

MOST_SHARE = 0.2
# From one picture to the next where all cells are one, and further where they are few.
LEAST_MOVEMENT, LEAST_MOVEMENT_OF_FEW = 0.35, 0.8
_POINTS = 4
# Cells that leap as far at each of so many are no networks that have not learnt yet, however early.
_LEAPS, _EARLIEST_LEAP = 3, 100


def look(history: History) -> Evidence | None:
    """Return evidence where samples are of few kinds, which do not become more, and move from kind to kind."""
    if not _leap(history) and not _oscillate(history):
        return None
    values = {name: history.last(name, 1)[-1] for name in (KIND_SHARE.name, MOVEMENT.name)}
    return Evidence("Modes oscillate: all cells turn into other kinds again and again", values)


def _leap(history: History) -> bool:
    shares, moves = history.last(KIND_SHARE.name, _LEAPS), history.last(MOVEMENT.name, _LEAPS)
    if min(len(shares), len(moves)) < _LEAPS or history.points[-_LEAPS].iteration < _EARLIEST_LEAP:
        return False
    return max(shares) <= MOST_SHARE and min(moves) >= LEAST_MOVEMENT_OF_FEW


def _oscillate(history: History) -> bool:
    shares, moves = history.last(KIND_SHARE.name, _POINTS), history.last(MOVEMENT.name, _POINTS)
    kinds = history.last(KINDS.name, _POINTS)
    if history.is_early(back=_POINTS - 1) or min(map(len, (shares, moves, kinds))) < _POINTS:
        return False
    least = LEAST_MOVEMENT if max(kinds) <= MOST_KINDS else LEAST_MOVEMENT_OF_FEW
    return max(shares) <= MOST_SHARE and sorted(moves)[1] >= least


RULE = Rule(
    name="oscillating_modes",
    title="Oscillating modes",
    severity="warning",
    meaning="The generator draws few kinds at a time and goes from one to the next, as from 2 to 0 to 9.",
    threshold="kinds below 0.2 of those of real images, and cells that move by 0.35 of the distance of two real "
    "images between measurements, by 0.8 where there are more than two kinds, at four in a row after the first "
    "500 iterations or 40 %, or by 0.8 at three in a row from iteration 100 on",
    window=1,
    look=look,
    remedies=(
        remedies.minibatch_discrimination,
        remedies.historical_averaging,
        remedies.lower_rates,
        remedies.average_generator,
    ),
)
