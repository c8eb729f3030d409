"""The table of links that show one page to people without an account."""

from datetime import datetime

from sqlalchemy import JSON, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from api.server.database.base import Base


class Share(Base):
    """A link to one page; its token is shown once and only its hash is stored.

    runs: ids of the runs that the page shows. address: the page's own, which the link stands for.
    """

    __tablename__ = "shares"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    runs: Mapped[list[str]] = mapped_column(JSON)
    address: Mapped[str] = mapped_column(Text)
    # Whose token made it.
    made_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
