"""The watermark: the event id up to which no further events will appear.

On PostgreSQL transactions of several jobs run concurrently, and the one with the smaller event id may commit last.
A stream that continues after the larger id would miss it. If ids had to rise in the order of commits, each writer
would wait for the fsync of others. Instead, writers announce a lower bound of their id by a shared lock that ends
with their transaction, and readers stop at the smallest announced id.
"""

from sqlalchemy import FromClause, func, select, text

from api.server.database.engine import Database
from api.server.database.models import EventBatch

# Any fixed number for the upper bits of the lock; the lower 48 bits hold an event id.
_LOCK_BITS = 0x6776
_LAST_GIVEN = "CASE WHEN is_called THEN last_value ELSE 0 END"
_SEQUENCE = "event_batches_id_seq"
_ANNOUNCE = text(
    f"SELECT pg_advisory_xact_lock_shared({_LOCK_BITS << 48} + {_LAST_GIVEN}) FROM {_SEQUENCE}"  # noqa: S608
)
_FIND_LAST = text(f"SELECT {_LAST_GIVEN} FROM {_SEQUENCE}")  # noqa: S608
_FIND_ANNOUNCED = text(
    "SELECT min(((classid::bigint & 65535) << 32) | objid::bigint) FROM pg_locks WHERE locktype = 'advisory' "
    "AND objsubid = 1 AND classid::bigint >> 16 = :bits "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def announcement() -> FromClause:
    """Return a one-row source whose evaluation announces that this transaction's id will be above the newest one.

    Columns selected from it, such as a new id, are evaluated after the announcement. Only PostgreSQL needs it:
    SQLite has one writer at a time.
    """
    return _ANNOUNCE.columns().subquery("announcement")


def find_watermark(database: Database) -> int:
    """Return the id up to which every transaction has ended; 0 before the first event.

    A transaction that begins after this call sees all events up to that id. The order of the two queries matters:
    an id that is allocated after the first query may not have been announced at the time of the second.
    """
    with database.read() as session:
        if session.get_bind().dialect.name != "postgresql":
            return session.scalar(select(func.max(EventBatch.id))) or 0
        last: int = session.execute(_FIND_LAST).scalar_one()
        announced: int | None = session.execute(_FIND_ANNOUNCED, {"bits": _LOCK_BITS}).scalar_one()
    return last if announced is None else min(last, announced)
