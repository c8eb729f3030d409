"""What all tables share: names of constraints, kinds of columns, the base class."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
# SQLite gives rising ids that are never used again only to INTEGER PRIMARY KEY AUTOINCREMENT.
BigId = BigInteger().with_variant(Integer, "sqlite")


# Metrics' names, as the widest tracker has them. SQLite does not count, and would copy a table to change a column.
MetricText = String(250).with_variant(String(100), "sqlite")
# The origin of jobs whose specs workers train.
GANLIB = "ganlib"
# Begins the idempotency key of a run that no worker trains, before the key that its writer made.
RUN_KEY = "run:"


class UtcDateTime(TypeDecorator[datetime]):
    """A time that is always aware and in UTC; SQLite keeps none of the zone itself."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return an aware time."""
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012
