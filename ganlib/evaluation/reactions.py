"""What a run does about its own faults, as its spec says: stop, or go back and on with other settings.

A rollback does not turn the run's iterations back: players, optimisers and techniques become those of an earlier
snapshot, and training goes on from the iteration that it has reached, so that all that was recorded stays.
"""

from typing import Any

from ganlib.evaluation.diagnosis.verdict import describe
from ganlib.events import FindingReported, LineLogged
from ganlib.spec.job import changed_fields
from ganlib.training.checkpoint import Snapshot, go_back, take_snapshot
from ganlib.training.state import TrainingState
from ganlib.training.update_schedule import build_update_schedule

# Faults are found some measurements after they began, so the newest snapshots may be of broken players.
_SNAPSHOTS_KEPT = 4


class Reactions:
    """Decides on each finding that begins, and carries out what was decided between two iterations."""

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._snapshots: list[Snapshot] = []
        self._asked: FindingReported | None = None
        self._rollbacks: list[dict[str, Any]] = []
        # What was decided on findings that may be reported again, by `rule/since`.
        self._decided: dict[str, dict[str, Any]] = {}
        self._wants_snapshots = any(each.action == "rollback" for each in state.spec.on.values())

    @property
    def are_asked_for(self) -> bool:
        """Whether the spec says what is done about any fault."""
        return bool(self._state.spec.on)

    def keep(self) -> None:
        """Keep a snapshot of the players as they are, if one may be wanted."""
        if self._wants_snapshots:
            self._snapshots.append(take_snapshot(self._state))
            del self._snapshots[:-_SNAPSHOTS_KEPT]

    def decide(self, finding: FindingReported) -> FindingReported:
        """Return a finding with what is done about it; of several that begin at once the first decides."""
        key = f"{finding.rule}/{finding.since}"
        if key not in self._decided:
            self._decided[key] = self._choose(finding)
            if self._decided[key].get("action") in ("stop", "rollback"):
                self._asked = finding.model_copy(update=self._decided[key])
        return finding.model_copy(update=self._decided[key])

    def _choose(self, finding: FindingReported) -> dict[str, Any]:
        reaction = self._state.spec.on.get(finding.rule)
        if reaction is None:
            return {}
        is_last = finding.iteration >= self._state.spec.iterations
        if reaction.action == "notify" or self._asked is not None or is_last:
            return {"action": "notify"}
        used = sum(rollback["rule"] == finding.rule for rollback in self._rollbacks)
        earlier = self._find_snapshot(finding.since)
        if reaction.action == "rollback" and used < reaction.at_most and earlier is not None:
            return {"action": "rollback", "rolled_back_to": earlier.iteration, "changes": reaction.change}
        return {"action": "stop"}

    def take(self) -> FindingReported | None:
        """Return the finding that something is to be done about, once; nothing may be waiting in the writer."""
        asked, self._asked = self._asked, None
        return asked

    def roll_back(self, finding: FindingReported) -> LineLogged:
        """Go back to the snapshot that the finding names, make its changes, and return a line that says so."""
        snapshot = next(each for each in self._snapshots if each.iteration == finding.rolled_back_to)
        go_back(self._state, snapshot)
        self._snapshots = [each for each in self._snapshots if each.iteration <= snapshot.iteration]
        self._rollbacks.append({"rule": finding.rule, "changes": finding.changes})
        self._change()
        changes = ", ".join(f"{path} = {value}" for path, value in finding.changes.items())
        text = (
            f"{describe(finding)}. Both players are those of iteration {snapshot.iteration:,} again, and training "
            f"continues with {changes}."
        )
        return LineLogged(iteration=self._state.iteration, level="warning", text=text[:4000])

    def state(self) -> dict[str, Any]:
        """Return what was done so far, as JSON can hold it."""
        return {"rollbacks": self._rollbacks, "decided": self._decided}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave, and make the changes of its rollbacks again."""
        self._decided = state["decided"]
        for rollback in state["rollbacks"]:
            self._rollbacks.append(rollback)
            self._change()

    def _find_snapshot(self, since: int) -> Snapshot | None:
        """Return the newest snapshot from before a fault; the other processes of a run have none."""
        earlier = [each for each in self._snapshots if each.iteration < since]
        return earlier[-1] if earlier and self._state.shard is None else None

    def _change(self) -> None:
        """Make the changes of all rollbacks so far."""
        state = self._state
        made = {path: value for rollback in self._rollbacks for path, value in rollback["changes"].items()}
        spec = changed_fields(state.spec, made)
        remembered = state.update_schedule.state_dict()
        state.changed_optimisers = spec.optimisers
        state.update_schedule = build_update_schedule(spec, state.device)
        state.update_schedule.load_state_dict(remembered)
