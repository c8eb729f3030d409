"""The database's history: one file a step below versions/, run by Alembic."""

from pathlib import Path

from alembic.config import Config
from sqlalchemy import Connection


def build_config(connection: Connection) -> Config:
    """Build Alembic's configuration for one open connection, whose transaction the caller ends."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
