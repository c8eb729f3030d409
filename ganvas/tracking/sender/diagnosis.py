"""Examines a loop of somebody's own: signals of its grids, and its losses, for the rules of ganlib's diagnosis."""

import json
import math
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from ganlib.evaluation.diagnosis.casebook import Casebook
from ganlib.evaluation.diagnosis.history import Point
from ganlib.evaluation.diagnosis.rules.divergence import LARGEST, LARGEST_OF_CRITIC
from ganlib.vocabulary import DISCRIMINATOR_ACCURACY, NOT_FINITE, SIGNALS
from ganlib.vocabulary.losses import find_role
from ganvas.tracking.attempts import split_attempts
from ganvas.tracking.folder import EVENTS, FolderUnreadable, RunFolder
from ganvas.tracking.pictures.png import Cells, PngUnreadable, cut, decode_png
from ganvas.tracking.run import REAL_NAME

Event = dict[str, Any]

# Grids that are examined of those that came since the last look; a loop may save thousands a minute.
MOST_AT_ONCE = 8
# Without grids, every so many losses are looked at.
_LOSSES_A_POINT = 20
# Losses that are sums over a batch are large from the beginning; they explode beyond so many times the first ones.
_FIRST_LOSSES, _LARGEST_GROWTH = 20, 100.0
# A loop that counts epochs saves a grid each step: nothing is learnt yet before the fifth.
_EARLY_GRIDS, _EARLY_SHARE = 5, 0.4
_MANY = 1_000_000
_READ_BYTES = 4 * 1024 * 1024
# Fewer say nothing of diversity.
_FEWEST_CELLS = 4


class Diagnosis:
    """Follows a run's folder and makes the events of what is found. step: the newest that was seen.

    first_new: nothing is said of events before this one, of a run that goes on: they were examined before.
    """

    def __init__(self, folder: RunFolder, header: dict[str, Any], first_new: int = 0) -> None:
        self.step = 0
        self._folder = folder
        self._first_new = first_new
        self._parts = split_attempts(header)
        self._iterations: int | None = header.get("iterations")
        words = json.dumps(header.get("config", {})).lower() + str(header.get("name", "")).lower()
        self._casebook = Casebook(self._iterations or _MANY, {"is_critic": "wgan" in words, "is_own": True})
        self._offset = self._next_seq = 0
        self._meter: Any = None
        self._real: tuple[Event, Cells] | None = None
        self._is_told_of_real = self._takes_signals = False
        # The name that plays each role, and the losses by their roles.
        self._names: dict[str, str | None] = {}
        self._players: dict[str, set[str]] = {}
        self._losses: dict[str, float] = {}
        self._scales: dict[str, float] = {}
        self._loss_count = 0
        self._signals: dict[str, float] = {}
        self._grid_steps: list[int] = []
        self._grid_count = self._losses_since = 0
        self._is_alarmed = False
        # Of the newest grid's values, and grids in a row that are all black or all white.
        self._not_finite = 0.0
        self._blank_count = 0

    def follow(self) -> list[Event]:
        """Examine what was written since the last call; returns the events to add."""
        found: list[Event] = []
        while rows := list(self._read_rows()):
            found += self._examine_rows([row for row in rows if not self._is_dropped(row)])
        return found

    def _is_dropped(self, row: dict[str, Any]) -> bool:
        iteration = row["event"].get("iteration", 0)
        return any(part.drops(row["seq"], iteration) for part in self._parts)

    def examine_whole(self, rows: list[dict[str, Any]], most: int, *, has_signals: bool = False) -> list[Event]:
        """Examine a run that was recorded elsewhere; returns the events to add, without hints for its loop.

        rows: of its folder, those that matter, in the order of their steps. most: so many grids, evenly spread.
        has_signals: they came with the run, and are not measured again.
        """
        self._is_told_of_real, self._takes_signals = True, has_signals
        return self._examine_rows(rows, most)

    def _examine_rows(self, rows: list[dict[str, Any]], most: int = MOST_AT_ONCE) -> list[Event]:
        grids = [row["seq"] for row in rows if row["event"].get("kind") == "sample_grid_saved"]
        count = min(len(grids), most)
        # The newest is always one of them.
        looked_at = {grids[-1 - index * len(grids) // count] for index in range(count)}
        found: list[Event] = []
        for row in rows:
            events = list(self._take(row["event"], row["seq"] in looked_at))
            if row["seq"] >= self._first_new:
                found += events
        return found

    def _read_rows(self) -> Iterator[dict[str, Any]]:
        try:
            with (self._folder.path / EVENTS).open("rb") as file:
                file.seek(self._offset)
                text = file.read(_READ_BYTES)
        except FileNotFoundError:
            return
        complete = text[: text.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            yield json.loads(line)

    def _take(self, event: Event, is_looked_at: bool) -> Iterator[Event]:
        kind, iteration = event.get("kind"), int(event.get("iteration", 0))
        if kind != "file_saved":
            self.step = max(self.step, iteration)
        if kind == "metrics_logged" and NOT_FINITE.name in event["values"]:
            self._not_finite = float(event["values"][NOT_FINITE.name])
            yield from self._ask({}, iteration)
        elif kind == "metrics_logged":
            yield from self._take_losses(event["values"], iteration)
            if self._takes_signals:
                yield from self._take_signals(event["values"], iteration)
        elif kind == "file_saved" and event["name"] == REAL_NAME:
            self._real = (event["file"], self._read_png(event["file"]))
            self._meter = None
        elif kind == "sample_grid_saved" and self._takes_signals:
            # Of a picture without a layout it is not known.
            count = int(event["rows"]) * int(event["columns"])
            self._casebook.history.sample_count = count if count > 1 else self._casebook.history.sample_count
        elif kind == "sample_grid_saved" and is_looked_at and find_spec("numpy") is not None:
            yield from self._examine(event, iteration)

    def _take_signals(self, values: dict[str, Any], iteration: int) -> Iterator[Event]:
        """Ask the rules about signals that came with a run, which are not measured again."""
        signals = {name: float(value) for name, value in values.items() if name.startswith(f"{SIGNALS}/")}
        if signals:
            self._signals = signals
            self._casebook.history.facts["is_own"] = DISCRIMINATOR_ACCURACY.name not in signals
            yield from self._ask(signals, iteration)

    def _take_losses(self, values: dict[str, Any], iteration: int) -> Iterator[Event]:
        has_any = False
        for name, given in values.items():
            role = self._find_role(name)
            if role is not None:
                value = self._losses[role] = float(given)
                has_any = True
                if self._loss_count < _FIRST_LOSSES and math.isfinite(value):
                    self._scales[role] = max(abs(value), self._scales.get(role, 0.0))
        if not has_any:
            return
        self._losses_since += 1
        self._loss_count += 1
        is_alarming = any(not abs(value) <= LARGEST for value in self._scaled_losses().values())
        is_due = not self._grid_count and self._losses_since >= _LOSSES_A_POINT
        if is_due or (is_alarming and not self._is_alarmed):
            self._is_alarmed, self._losses_since = is_alarming, 0
            yield from self._ask({}, iteration)

    def _scaled_losses(self) -> dict[str, float]:
        """Return the losses as rules may compare them: a large one of a loop whose losses are sums is none."""
        most = LARGEST_OF_CRITIC if self._casebook.history.facts.get("is_critic") else LARGEST
        return {
            role: math.copysign(min(abs(value), most), value)
            if abs(value) <= _LARGEST_GROWTH * self._scales.get(role, 0.0)
            else value
            for role, value in self._losses.items()
        }

    def _find_role(self, name: str) -> str | None:
        """Return a metric's role, None where two have the same, and nobody can say which is meant."""
        if name not in self._names:
            role = self._names[name] = find_role(name)
            if role is not None:
                self._players.setdefault(role, set()).add(name)
                if "critic" in name.lower():
                    self._casebook.history.facts["is_critic"] = True
        role = self._names[name]
        return role if role is not None and len(self._players[role]) == 1 else None

    def _examine(self, event: Event, iteration: int) -> Iterator[Event]:
        try:
            grid = self._read_png(event["file"])
        except (FolderUnreadable, PngUnreadable):
            return
        cells = cut(grid, event["rows"], event["columns"])
        is_blank = cells.is_plain and cells.content[0] in (0, 255)
        self._blank_count = self._blank_count + 1 if is_blank else 0
        self._casebook.history.facts["blank_count"] = self._blank_count
        # What is left over of the last row is black.
        if not is_blank:
            cells = cells.pick(_list_drawn(cells, spared=cells.count - event["columns"]))
        if cells.count < _FEWEST_CELLS:
            return
        self._grid_count += 1
        self._grid_steps = [*self._grid_steps[-1:], iteration]
        yield from self._tell_of_real(iteration)
        self._signals = self._measure(cells, event.get("latents_sha256"))
        yield {"kind": "metrics_logged", "iteration": iteration, "values": _show(self._signals)}
        self._casebook.history.sample_count = cells.count
        self._casebook.history.iterations = self._guess_iterations()
        self._is_alarmed = False
        yield from self._ask(self._signals, iteration)

    def _measure(self, cells: Cells, latents: str | None) -> dict[str, float]:
        # Imported here: it brings NumPy, which a run without grids does without.
        from ganvas.tracking.sender.signals import SignalMeter, stack

        if self._meter is None:
            self._meter = SignalMeter()
        if self._meter.real is None and self._real is not None:
            _, sheet = self._real
            if sheet.channels == cells.channels and not (sheet.height % cells.height or sheet.width % cells.width):
                real = cut(sheet, sheet.height // cells.height, sheet.width // cells.width)
                self._meter.real = stack(real.pick(_list_drawn(real)))
        found: dict[str, float] = self._meter.measure(stack(cells), latents)
        return found

    def _tell_of_real(self, iteration: int) -> Iterator[Event]:
        if self._real is None and not self._is_told_of_real:
            self._is_told_of_real = True
            text = (
                "Signals are measured without real images: how far two of these lie apart is estimated from the "
                "contrast of the pictures. Hand some over by run.real(images), and they are compared with these."
            )
            yield {"kind": "line_logged", "iteration": iteration, "text": text}

    def _guess_iterations(self) -> int:
        """Return a number of iterations of which the run's start is as long as rules should wait."""
        if self._iterations:
            return self._iterations
        counts_epochs = len(self._grid_steps) > 1 and self._grid_steps[1] - self._grid_steps[0] <= 1
        if not counts_epochs:
            return _MANY
        is_early = self._grid_count < _EARLY_GRIDS
        return _MANY if is_early else 1

    def _ask(self, signals: dict[str, float], iteration: int) -> Iterator[Event]:
        """Ask the rules about the newest losses with these signals, or with the last ones."""
        unseen = self._meter.unseen if self._meter is not None else {}
        values = unseen | (signals or self._signals) | self._scaled_losses() | {NOT_FINITE.name: self._not_finite}
        for finding in self._casebook.add(Point(iteration, values)):
            yield finding.model_dump(mode="json")

    def _read_png(self, stored: Event) -> Cells:
        return decode_png(self._folder.read_file(stored))


def _list_drawn(cells: Cells, spared: int = 0) -> list[int]:
    """Return the indices of cells that are not black at the end; the first `spared` ones count as drawn."""
    count = cells.count
    while count > max(spared, 1) and not any(cells.content[(count - 1) * cells.size : count * cells.size]):
        count -= 1
    return list(range(count))


def _show(values: dict[str, float]) -> dict[str, float | str]:
    return {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
