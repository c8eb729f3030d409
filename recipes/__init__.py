"""One job spec for each published experiment; the files are what matters, `read_texts` finds them."""

from importlib.resources import files


def read_texts() -> dict[str, str]:
    """Return the recipes' texts by file name, in its order."""
    found = sorted(
        (entry for entry in files("recipes").iterdir() if entry.name.endswith(".yaml")), key=lambda e: e.name
    )
    return {entry.name: entry.read_text(encoding="utf-8") for entry in found}
