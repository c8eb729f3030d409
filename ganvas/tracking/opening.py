"""`ganvas.init`: opens a run for the loop that calls it."""

import argparse
import dataclasses
import json
import math
import os
import re
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from ganlib.spec.storable import is_storable, replace_all, replace_unstorable
from ganvas.tracking.attempts import split_attempts
from ganvas.tracking.endings import ENDINGS
from ganvas.tracking.folder import FolderUnreadable, RunFolder
from ganvas.tracking.link import SenderLink
from ganvas.tracking.run import Run
from ganvas.tracking.values import LARGEST_STEP, read_step
from ganvas.tracking.writer import RunWriter

Mode = Literal["online", "offline", "disabled"]
MODES: tuple[str, ...] = get_args(Mode)
LONGEST_NAME, MOST_TAGS, LONGEST_TAG = 100, 32, 50
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_DEEPEST = 20
# Shorter ones begin too many ids.
_LEAST_ID = 4
_ITERATION = re.compile(rb'"iteration": ?(\d+)')
MOST_CONFIG_BYTES, MOST_NOTE_CHARACTERS = 256 * 1024, 10_000
MOST_SCRIPT_BYTES = 1024 * 1024
_SECRET = re.compile(r"secret|credential|token|\.env|\.pem|\.key", re.IGNORECASE)


def init(
    name: str | None = None,
    *,
    config: Any = None,
    tags: Sequence[str] = (),
    note: str = "",
    iterations: int | None = None,
    dir: "str | Path | None" = None,  # noqa: A002
    resume: "bool | str | Path | None" = None,
    resume_at: int | None = None,
    mode: Mode | None = None,
) -> Run:
    """Open a run for your own training loop; it needs no service, and no package but Ganvas.

    name: for people; the script's name without one. config: what the run was made with: a dictionary, the result
    of argparse, a dataclass or a pydantic model. iterations: how many there will be, where that is planned.
    dir: the run's folder, kept when the run has ended; without it, one in GANVAS_HOME/runs that goes when a
    service has everything. resume: True goes on with the run in `dir`, or without that of this name, and begins
    one if there is none; or what names the run to go on with, which must exist: its folder, or its id, the
    beginning of that, its key or its name, here or at the service. `step` then tells where it stands. resume_at:
    the iteration of the checkpoint that the loop goes on from; what was recorded after it is dropped. mode:
    online, offline or disabled; GANVAS_MODE without it, else online. GANVAS_URL and GANVAS_TOKEN name the service,
    as for the client.

    Under torchrun the process of rank 0 records; the others get a run that does nothing. Raises TypeError or
    ValueError for wrong arguments, FolderBusy, FolderTaken or FolderUnreadable for a folder that does not fit.
    """
    chosen = mode or os.environ.get("GANVAS_MODE") or "online"
    if chosen not in MODES:
        raise ValueError(f"mode (or GANVAS_MODE) must be one of {', '.join(MODES)}; not {chosen!r}.")
    if resume is True and dir is None and not name:
        raise ValueError("resume=True goes on with the run in dir=, or of a name: name the folder, or the run.")
    if resume_at is not None and not resume:
        raise ValueError("resume_at belongs to resume=, which says what is to go on.")
    resume_at = None if resume_at is None else read_step(resume_at)
    name = _read_name(name or _find_script_name())
    if iterations is not None and not (isinstance(iterations, int) and 1 <= iterations <= LARGEST_STEP):
        raise ValueError(f"iterations must be a whole number from 1 on, or None; not {iterations!r}.")
    opening: dict[str, Any] = {
        "key": secrets.token_hex(6),
        "attempt": 1,
        "name": name,
        "config": read_config(config),
        "tags": _read_tags(tags),
        "note": _read_note(note),
        "origin": "own",
        "iterations": iterations,
        "started_at": datetime.now(UTC).isoformat(),
        "resume_at": resume_at,
        "writer": f"{socket.gethostname()}, process {os.getpid()}"[:200],
    }
    if chosen == "disabled" or not _is_first_rank():
        return Run(name, opening["key"], None)
    folder, step = _open_folder(opening, dir, resume, chosen)
    if folder is None:
        return Run(name, opening["key"], None)
    return _start(folder, step, chosen, keep=dir is not None or bool(resume))


def _start(folder: RunFolder, step: int, mode: str, *, keep: bool) -> Run:
    """Return the run of a folder that is open, with its sender."""
    header = folder.read_header()
    run = Run(
        header["name"], header["key"], RunWriter(folder, lambda text: _say(f"{header['name']}: {text}")), step
    )

    options = {
        "mode": mode,
        "keep": keep,
        "argv": sys.orig_argv,
        "script": _find_script(),
        "parent": os.getpid(),
        "modules": sorted({module.partition(".")[0] for module in sys.modules} - sys.stdlib_module_names),
        "first_new": folder.next_seq,
    }
    link = SenderLink(folder.path, options, partial(_listen, run))

    run.on_close = partial(_finish, run, link, folder.path)
    run.on_fork = link.leave_to_parent
    run.on_first_url = link.wait_for_answer
    try:
        link.start()
    except OSError as error:
        link.state = "gone"
        _say(f"{run.name}: nothing is delivered while the run lasts: its sender did not start ({error}).")
    ENDINGS.watch(run)
    _keep_script(run, _find_script())
    return run


def _keep_script(run: Run, script: str | None) -> None:
    """Keep the code of the script that runs; a commit may not have it."""
    if script is None or "site-packages" in script or _SECRET.search(Path(script).name):
        return
    with suppress(OSError, ValueError):
        if os.path.getsize(script) <= MOST_SCRIPT_BYTES:
            run.file(script, f"code/{Path(script).name}")


def _listen(run: Run, what: str, value: Any) -> None:
    """Take what the sender says."""
    if what == "event":
        run.append(value)
    elif what == "stop":
        run.stop()
    elif what in ("url", "say", "away"):
        run.known_url = value if what == "url" else run.known_url
        _say(f"{run.name}: {value}")


def _finish(run: Run, link: SenderLink, path: Path) -> None:
    """Wait a while for the delivery of a run that has ended."""
    ENDINGS.forget(run)
    try:
        state = link.finish(run.ended)
    except KeyboardInterrupt:
        state = link.state
    if state in ("connected", "starting"):
        _say(f"{run.name}: the rest is delivered in the background.")
    elif state != "done":
        _say(f"{run.name}: kept in {path}; `ganvas sync {path}` sends it.")


def _open_folder(
    opening: dict[str, Any],
    dir: "str | Path | None",  # noqa: A002
    resume: "bool | str | Path | None",
    mode: str,
) -> tuple[RunFolder | None, int]:
    """Return the run's folder, open, and its newest step; None where no disk takes it."""
    path = Path(dir).expanduser().absolute() if dir is not None else None
    found, step = None, -1
    if resume is True and path is not None:
        found = path if RunFolder(path).holds_run() else None
    elif resume:
        named = opening["name"] if resume is True else str(resume)
        found = _find_folder(named, path)
        if found is None:
            step = _go_on_with_stored(opening, named, mode, must=resume is not True)
            # Named otherwise at the service than here, or begun anew.
            found = _find_folder(opening["key"], path)
    if found is not None:
        return _reopen(found, opening)
    return _create(opening, path), step


def _create(opening: dict[str, Any], path: Path | None) -> RunFolder | None:
    """Return a new folder; None where no disk takes it."""
    if path is not None:
        with _telling_of(path):
            return RunFolder.create(path, opening)
    leaf = f"{_NOT_PLAIN.sub('-', opening['name']).strip('-.')[:40] or 'run'}-{opening['key']}"
    for parent in (_find_home() / "runs", Path(tempfile.gettempdir()) / "ganvas-runs"):
        with _telling_of(parent):
            return RunFolder.create(parent / leaf, opening)
    _say(f"{opening['name']}: nothing is recorded: there is no folder that can be written; name one by dir=.")
    return None


@contextmanager
def _telling_of(path: Path) -> Iterator[None]:
    """Say of a folder that cannot be written that this is so, and go on with the next one."""
    try:
        yield
    except OSError as error:
        _say(f"{path} cannot be written ({error.strerror or error}); the run is kept elsewhere.")


def _reopen(path: Path, opening: dict[str, Any]) -> tuple[RunFolder, int]:
    """Begin the next attempt of the run in a folder, and return its newest step as well."""
    folder = RunFolder.take_over(path)
    own = {name: opening[name] for name in ("writer", "started_at", "resume_at")}
    folder.begin_attempt(own | ({"iterations": opening["iterations"]} if opening["iterations"] else {}))
    if opening["resume_at"] is not None:
        return folder, opening["resume_at"]
    parts = split_attempts(folder.read_header())
    steps = (
        step
        for seq, line in enumerate(folder.read_lines())
        if (found := _ITERATION.search(line)) and not any(part.drops(seq, step := int(found[1])) for part in parts)
    )
    return folder, max(steps, default=-1)


def _find_folder(named: str, own: Path | None) -> Path | None:
    """Return the folder that a path, key, id, beginning of one of them, or name is of; None without any.

    own: a folder beside those in GANVAS_HOME/runs. Raises FolderUnreadable where several fit.
    """
    path = Path(named).expanduser()
    if named and RunFolder(path).holds_run():
        return path.absolute()
    folders = [*(_find_home() / "runs").glob("*"), *([own] if own is not None else [])]
    names: list[Path] = []
    begins: list[Path] = []
    for folder in sorted(each for each in folders if RunFolder(each).holds_run()):
        with suppress(FolderUnreadable):
            header = RunFolder(folder).read_header()
            ids = [header["key"], *(each["job_id"] for each in RunFolder(folder).read_positions().values())]
            if named in ids:
                return folder
            begins += [folder] if len(named) >= _LEAST_ID and any(each.startswith(named) for each in ids) else []
            names += [folder] if header["name"] == named else []
    found = names or begins
    if len(found) > 1:
        listed = ", ".join(str(each) for each in found[:5])
        raise FolderUnreadable(f"Several runs are called {named!r}; resume one by its folder or key: {listed}.")
    return found[0] if found else None


def _go_on_with_stored(opening: dict[str, Any], named: str, mode: str, *, must: bool) -> int:
    """Let this opening be the next attempt of a run that the service has, and return its newest step.

    must: raise FolderUnreadable where there is none; else it stays a new run, and the answer is -1.
    """
    where = f"There is no run to go on with at {named!r}, none of this key, id or name in {_find_home() / 'runs'}"
    found, why = None, "no service is asked offline"
    if mode == "online":
        # Imported here: a run that begins asks nobody.
        from api.client.transport import Transport
        from api.errors import ServiceError
        from ganvas.address import default_home, read_service_url
        from ganvas.tracking.sender.position import find_stored_run

        with Transport(os.environ.get("GANVAS_URL") or read_service_url(default_home())) as transport:
            why = f"{transport.url} has none"
            try:
                found = find_stored_run(named, transport)
            except ServiceError as error:
                why = f"no service could be asked: {error}"
                if not must:
                    _say(f"{opening['name']}: this is a new run, for {why}")
    if found is not None:
        opening |= {"key": found["key"], "name": found["name"], "attempt": found["attempt"] + 1}
        is_begun = found["iteration"] or found["latest"]
        return opening["resume_at"] if opening["resume_at"] is not None else found["iteration"] if is_begun else -1
    if must:
        raise FolderUnreadable(
            f"{where}; {why}. A run in a folder of its own goes on by init(dir=…, resume=True)."
        )
    opening["resume_at"] = None
    return -1


def _find_home() -> Path:
    return Path(os.environ.get("GANVAS_HOME") or Path.home() / ".ganvas").expanduser()


def _is_first_rank() -> bool:
    rank = os.environ.get("RANK", "0")
    return not rank.isdecimal() or int(rank) == 0


def read_config(config: Any) -> dict[str, Any]:
    """Return a configuration as JSON has it; raises TypeError. What JSON cannot hold becomes text."""
    if config is None:
        return {}
    if isinstance(config, argparse.Namespace):
        config = vars(config)
    elif dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = dataclasses.asdict(config)
    elif hasattr(config, "model_dump"):
        config = config.model_dump()
    if not isinstance(config, Mapping):
        raise TypeError(
            f"config must be a dictionary, argparse's result, a dataclass or a pydantic model; not {config!r:.60}."
        )
    found: dict[str, Any] = replace_all(_to_json(config, 0))
    if len(json.dumps(found)) > MOST_CONFIG_BYTES:
        raise ValueError(
            f"config has more than {MOST_CONFIG_BYTES // 1024} KiB; keep what is large as a file: run.file(path)."
        )
    return found


def _read_note(note: Any) -> str:
    if not isinstance(note, str) or len(note) > MOST_NOTE_CHARACTERS:
        raise ValueError(f"note must be text of at most {MOST_NOTE_CHARACTERS:,} characters.")
    return replace_unstorable(note)


def _to_json(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return str(value)[:200]
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): _to_json(part, depth + 1) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_to_json(part, depth + 1) for part in value]
    # Numbers of NumPy and PyTorch.
    if hasattr(value, "item") and getattr(value, "size", None) == 1:
        return _to_json(value.item(), depth + 1)
    return str(value)[:1000]


def _read_tags(tags: Any) -> list[str]:
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise TypeError(f"tags must be a list of texts, such as ['mnist']; not {tags!r:.60}.")
    if len(tags) > MOST_TAGS:
        raise ValueError(f"a run has at most {MOST_TAGS} tags; not {len(tags)}.")
    return list(dict.fromkeys(_read_tag(tag) for tag in tags))


def _read_tag(tag: str) -> str:
    # Imported here: it brings pydantic, which a run without tags does without.
    from ganlib.spec.fields import check_tag

    try:
        found = check_tag(tag)
    except ValueError as error:
        raise ValueError(f"a tag: {error}; not {tag[:60]!r}.") from None
    if not 1 <= len(found) <= LONGEST_TAG:
        raise ValueError(f"a tag must have 1 to {LONGEST_TAG} characters; {tag[:60]!r} has {len(found)}.")
    return found


def _read_name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a run's name must be text; not {name!r}.")
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or not is_storable(name):
        raise ValueError(f"a run's name must have 1 to {LONGEST_NAME} printable characters; not {name[:120]!r}.")
    return name


def _find_script() -> str | None:
    """Return the path of the script that runs, None in a notebook or an interpreter."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return str(Path(path).absolute()) if path else None


def _find_script_name() -> str:
    script = _find_script()
    return Path(script).stem if script else "run"


def _say(text: str) -> None:
    print(f"ganvas: {text}", file=sys.stderr, flush=True)
