"""Judges on disk: one safetensors file each, below the folder for cached data; trained where there is none.

Weights carry their own names; the metadata holds one JSON object, `ganvas_judge`: format and the judge's facts.
"""

import fcntl
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ganlib.datasets.sources import cache_dir
from ganlib.evaluation.classifier.network import JUDGES, Judge, JudgeFacts, JudgeNetwork, JudgeRecipe
from ganlib.evaluation.classifier.training import JudgeAbandoned, train_judge, weights_of
from ganlib.runtime.files import store_file
from ganlib.training.checkpoint import digest_tensors

FORMAT = 1
_METADATA = "ganvas_judge"
_LOOK_AGAIN_SECONDS = 0.2


class JudgeDamaged(Exception):
    """A judge's file cannot be used; the message says why."""


def judge_path(name: str) -> Path:
    """Return where the judge of a data set lies."""
    return cache_dir() / "judges" / f"{name}-{JUDGES[name].version}.safetensors"


def obtain_judge(
    name: str, device: torch.device, say: Callable[[str], None], should_stop: Callable[[], bool]
) -> Judge:
    """Return the judge of a data set, trained now if no earlier run has left it; a damaged file is replaced.

    Of several processes one trains and the others wait for it. Raises DatasetUnavailable, JudgeAbandoned.
    """
    path, recipe = judge_path(name), JUDGES[name]
    if path.exists():
        try:
            return load_judge(path, name, recipe, device)
        except JudgeDamaged as error:
            say(f"The {name} judge is trained anew: {error}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_suffix(".lock").open("w")
    except OSError as error:
        say(f"The {name} judge cannot be kept ({error}), so it is trained for this run alone")
        return train_judge(name, recipe, device, say, should_stop)
    with lock:
        _wait_for(
            lock.fileno(), partial(say, f"Another process trains the {name} judge; waiting for it"), should_stop
        )
        try:
            # While this process waited for the lock, another one may have made the judge.
            return load_judge(path, name, recipe, device)
        except JudgeDamaged:
            judge = train_judge(name, recipe, device, say, should_stop)
            _keep(judge, path, say)
            return judge


def _keep(judge: Judge, path: Path, say: Callable[[str], None]) -> None:
    try:
        store_file(path.parent, path.name, partial(write_judge, judge))
    except (OSError, SafetensorError) as error:
        # A full disk: the next run has to train its judge again, but this one can go on.
        say(f"The {judge.facts.name} judge cannot be kept ({error})")


def write_judge(judge: Judge, path: Path) -> None:
    """Write weights and facts."""
    facts = json.dumps({"format": FORMAT, **asdict(judge.facts)}, sort_keys=True)
    save_file(weights_of(judge.network), path, metadata={_METADATA: facts})


def load_judge(path: Path, name: str, recipe: JudgeRecipe, device: torch.device) -> Judge:
    """Read a judge; raises JudgeDamaged when the file is missing, damaged, or of another recipe."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            facts = json.loads((file.metadata() or {})[_METADATA])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if facts.pop("format") != FORMAT:
            raise JudgeDamaged(f"{path.name} has another format")
        read = JudgeFacts(**facts)
        if (read.name, read.version, read.digest) != (name, recipe.version, digest_tensors(tensors)):
            raise JudgeDamaged(f"the weights in {path.name} are not those that it names")
        with torch.device("meta"):
            network = JudgeNetwork(recipe)
        network.load_state_dict(tensors, assign=True)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise JudgeDamaged(f"{path.name} cannot be read ({error})") from error
    placed = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Judge(read, placed, recipe.dataset.shape)


def _wait_for(descriptor: int, say_waiting: Callable[[], None], should_stop: Callable[[], bool]) -> None:
    """Lock the file; the system drops the lock when it is closed or this process dies. Raises JudgeAbandoned."""
    told = False
    while not _try_lock(descriptor):
        if not told:
            say_waiting()
            told = True
        if should_stop():
            raise JudgeAbandoned
        time.sleep(_LOOK_AGAIN_SECONDS)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
