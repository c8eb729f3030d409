"""Draws the figures that are requested over HTTP: one at a time, and only while its reader waits."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.errors import (
    FigureRefused,
    FiguresNotInstalled,
    FigureTooLarge,
    ServiceError,
    ServiceUnavailable,
    TooManyRequests,
)
from dashboard.figures.drawing.plans import FigureOversize, FigureRefusal, MoviePlan, Plan
from dashboard.figures.drawing.process import DrawingFailed, DrawingStopped, draw_figure, missing_package

MOST_WAITING = 8
_POLL_SECONDS = 0.5
logger = logging.getLogger(__name__)


class RenderQueue:
    """Draws one figure at a time, in the order of the requests; a reader who disconnects stops the drawing.

    cache: a folder for files of the drawing library. is_closing: whether the service stops.
    """

    def __init__(self, cache: Path, is_closing: Callable[[], bool]) -> None:
        self._drawer = ThreadPoolExecutor(1, thread_name_prefix="figures")
        self._cache, self._is_closing = cache, is_closing
        self._waiting = 0

    async def draw(self, plan: Plan, read_files: Callable[[], Iterable[bytes]], request: Request) -> BinaryIO:
        """Return the figure's file. Raises the service's errors: refused, too large, not installed, too many."""
        missing = missing_package(plan.kind, plan.form if isinstance(plan, MoviePlan) else plan.page.form)
        if missing is not None:
            raise FiguresNotInstalled(package=missing)
        if self._waiting >= MOST_WAITING:
            raise TooManyRequests(
                "Too many figures are being drawn; ask again in a moment.", retry_after_seconds=10
            )
        self._waiting += 1
        try:
            return await self._draw_for(request, plan, read_files)
        except DrawingStopped:
            if self._is_closing():
                raise ServiceUnavailable("The service stops; ask again in a moment.") from None
            raise ClientDisconnect from None
        except Exception as error:
            raise _to_service_error(error) from error
        finally:
            self._waiting -= 1

    async def _draw_for(self, request: Request, plan: Plan, read_files: Callable[[], Iterable[bytes]]) -> BinaryIO:
        has_left = threading.Event()

        def should_stop() -> bool:
            return has_left.is_set() or self._is_closing()

        def work() -> BinaryIO:
            if should_stop():
                raise DrawingStopped
            return draw_figure(plan, read_files(), self._cache, should_stop)

        try:
            drawing = asyncio.get_running_loop().run_in_executor(self._drawer, work)
            while not (await asyncio.wait([drawing], timeout=_POLL_SECONDS))[0]:
                if await request.is_disconnected():
                    has_left.set()
            return drawing.result()
        finally:
            has_left.set()


def _to_service_error(error: Exception) -> Exception:
    match error:
        case FigureOversize():
            return FigureTooLarge(str(error))
        case FigureRefusal():
            return FigureRefused(str(error))
        case DrawingFailed():
            logger.error("A figure could not be drawn: %s", error)
            return ServiceError()
        case _:
            return error
