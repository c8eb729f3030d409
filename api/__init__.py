"""The results service: the only code that touches the database and the blob store."""

DEFAULT_PORT = 8000


def find_version() -> str:
    """Return the installed version, or 0 in a bare source tree."""
    # Imported here: it loads the standard library's e-mail parser.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ganvas")
    except PackageNotFoundError:
        return "0"
