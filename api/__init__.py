"""The results service: the only code that touches the database and the blob store."""

DEFAULT_PORT = 8000
