"""A worker's first words to its service, and the one line that says where it joined."""

import random
import time
from collections.abc import Callable

from api.errors import ServiceError
from api.transport import may_pass
from worker.devices import count_gpus, describe_device
from worker.registry import Registrar
from worker.settings import WorkerSettings

RETRY_SECONDS = 3.0
_TICK_SECONDS = 0.2


def join(registrar: Registrar, settings: WorkerSettings, should_shut_down: Callable[[], bool]) -> bool:
    """Tell the service who is here until it hears, and print where this worker joined; False when it must end.

    Raises ServiceError when the service refuses it: a wrong token, or something else that answers there.
    """
    is_known = False
    while not should_shut_down():
        try:
            registrar.introduce()
        except ServiceError as error:
            if not may_pass(error):
                raise
            if not is_known:
                print(f"{error.text} Trying again until one answers.", flush=True)
            is_known = True
            # Many workers should not come back in step.
            pause(RETRY_SECONDS * random.uniform(0.75, 1.25), should_shut_down)  # noqa: S311
        else:
            print(describe_joining(settings), flush=True)
            return True
    return False


def describe_joining(settings: WorkerSettings) -> str:
    """Return where the worker joined, as whom, with what, and how it hears of jobs."""
    count = settings.worker_gpus or count_gpus()
    cards = f"{count} × " if count > 1 else ""
    hears = (
        "is woken by messages" if settings.has_broker else f"asks for jobs every {settings.poll_seconds:g} seconds"
    )
    return f"Joined {settings.url} as {settings.worker_name}, with {cards}{describe_device()}; it {hears}."


def pause(seconds: float, should_end: Callable[[], bool]) -> None:
    """Wait so long, or until it should end; a signal's handler sets a flag and no more, so this looks at it."""
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0 and not should_end():
        time.sleep(min(left, _TICK_SECONDS))
