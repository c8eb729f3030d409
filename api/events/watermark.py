"""Up to which event id a reader has seen all that there will ever be.

On PostgreSQL transactions of several jobs run at once, and of two the one with the smaller event id may end
last. A stream that went on from the larger one would miss it. To let ids rise in the order of commits instead,
each writer would have to wait for the fsync of others. So writers announce, by a lock that they share and that
ends with their transaction, an id that theirs will be larger than; readers stop at the smallest one that is
announced.
"""

from sqlalchemy import FromClause, func, select, text

from api.server.database.engine import Database
from api.server.database.models import EventBatch

# Any fixed number for the upper bits of the lock; an event id has the 48 below.
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
    """Return PostgreSQL's one row that says: this transaction will take an id above the newest given one.

    What is selected from it is worked out after that was said, a new id too. SQLite has one writer at a time.
    """
    return _ANNOUNCE.columns().subquery("announcement")


def find_settled_event_id(database: Database) -> int:
    """Return the id up to which every transaction has ended; 0 before the first event.

    What a transaction reads that begins after this call holds all events up to that id. The order of the two
    questions matters: an id given out after the first one was perhaps not announced yet when the second was asked.
    """
    with database.read() as session:
        if session.get_bind().dialect.name != "postgresql":
            return session.scalar(select(func.max(EventBatch.id))) or 0
        last: int = session.execute(_FIND_LAST).scalar_one()
        announced: int | None = session.execute(_FIND_ANNOUNCED, {"bits": _LOCK_BITS}).scalar_one()
    return last if announced is None else min(last, announced)
