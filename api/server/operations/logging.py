"""Log lines marked with their job and attempt, as text or as JSON."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

# Job and attempt that this thread currently works for.
_about: ContextVar[tuple[str, int] | None] = ContextVar("ganvas_log_about", default=None)
TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s%(about)s: %(message)s"


@contextmanager
def log_about(job_id: str, attempt: int) -> Iterator[None]:
    """Mark this thread's log lines with job and attempt inside the block."""
    token = _about.set((job_id, attempt))
    try:
        yield
    finally:
        _about.reset(token)


class AboutFilter(logging.Filter):
    """Gives each record the attributes job_id, attempt and about."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes; keep every record."""
        about = _about.get()
        record.job_id, record.attempt = about or (None, None)
        record.about = f" [job {about[0]}, attempt {about[1]}]" if about else ""
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, logger, message; job_id, attempt and traceback where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if getattr(record, "job_id", None) is not None:
            line |= {"job_id": record.job_id, "attempt": record.attempt}  # type: ignore[attr-defined]
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logs(level: int = logging.INFO) -> None:
    """Configure all loggers to write to stderr, as JSON where GANVAS_LOG is `json`, else as text."""
    handler = logging.StreamHandler()
    handler.addFilter(AboutFilter())
    is_json = os.environ.get("GANVAS_LOG", "text").lower() == "json"
    handler.setFormatter(JsonFormatter() if is_json else logging.Formatter(TEXT_FORMAT))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
