"""What somebody has just done with several runs, and how to take it back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Action = Literal["tag", "untag", "cancel", "delete", "restore"]
_PAST: dict[Action, str] = {
    "tag": "tagged {tag}",
    "untag": "no longer tagged {tag}",
    "cancel": "asked to stop",
    "delete": "deleted",
    "restore": "restored",
}
_BACK: dict[Action, Action] = {"tag": "untag", "untag": "tag", "delete": "restore"}


@dataclass(frozen=True)
class Done:
    """An action, on which runs it succeeded, and why it did not on others: a sentence for each run's name."""

    action: Action
    ids: tuple[str, ...]
    tag: str = ""
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class DoneView:
    """The sentence, what went wrong, and the action that takes it back (empty: none does)."""

    text: str
    failures: Sequence[str]
    back: str
    tag: str
    ids: Sequence[str]


def show_done(done: Done | None) -> DoneView | None:
    """Return how an action went."""
    if done is None:
        return None
    count = len(done.ids)
    runs = "No run was" if not count else "1 run was" if count == 1 else f"{count} runs were"
    # "is tagged", but "was deleted": a tag is still there.
    text = f"{runs} {_PAST[done.action].format(tag=done.tag)}."
    back = _BACK.get(done.action, "") if count else ""
    return DoneView(text, done.failures, back, done.tag, done.ids)
