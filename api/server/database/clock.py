"""The database's clock as a SQL expression: leases do not depend on the clocks of services or workers."""

from typing import Any

from sqlalchemy import BindParameter, Float, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from api.server.database.base import UtcDateTime


class DatabaseTime(FunctionElement[Any]):
    """The database's current time, plus a number of seconds that may be negative."""

    type = UtcDateTime()
    inherit_cache = True
    name = "database_time"


def database_now(plus_seconds: float | BindParameter[float] = 0.0) -> DatabaseTime:
    """Return the expression; SQLite counts milliseconds, PostgreSQL microseconds."""
    seconds = plus_seconds if isinstance(plus_seconds, BindParameter) else literal(float(plus_seconds), Float)
    return DatabaseTime(seconds)


@compiles(DatabaseTime, "sqlite")
def _compile_for_sqlite(element: DatabaseTime, compiler: SQLCompiler, **kwargs: Any) -> str:
    seconds = compiler.process(element.clauses, **kwargs)
    # The text form in which SQLAlchemy keeps times, so that comparing texts compares times.
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('%+.3f seconds', {seconds}))"


@compiles(DatabaseTime, "postgresql")
def _compile_for_postgresql(element: DatabaseTime, compiler: SQLCompiler, **kwargs: Any) -> str:
    seconds = compiler.process(element.clauses, **kwargs)
    # now() is the time at which the transaction began, and it may have waited for a lock since.
    return f"(clock_timestamp() + make_interval(secs => {seconds}))"
