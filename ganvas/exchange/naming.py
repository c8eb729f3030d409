"""Names of other trackers as a run of Ganvas may have them."""

import hashlib
import re
import unicodedata

from ganlib.events import MAX_METRIC_NAME
from ganlib.spec.fields import TAG_SIGNS
from ganlib.spec.storable import replace_unstorable

_MAX_TAG = 50


def clean_metric_name(name: str) -> str:
    """Return a name that a metric may have: printable, of 1 to 250 characters, without blanks at its ends."""
    return replace_unprintable(name).strip()[:MAX_METRIC_NAME].rstrip() or "unnamed"


def clean_file_name(name: str, length: int) -> str:
    """Return a relative name inside the run: no way out of its folder, no control characters."""
    printable = replace_unprintable(name).replace(":", "_")
    parts = [part.strip() for part in re.split(r"[/\\]+", printable)]
    clean = "/".join("_" * len(part) if set(part) == {"."} else part for part in parts if part) or "unnamed"
    if len(clean) <= length:
        return clean
    # The end holds the step and the ending; the mark keeps shortened names apart.
    mark = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:8]
    return f"{clean[: length - 35].rstrip('/ ')}~{mark}~{clean[-24:].lstrip('/ ')}"


def clean_tag(text: str) -> str:
    """Return a tag with the signs that tags may have; an empty text if nothing is left of it."""
    text = unicodedata.normalize("NFC", replace_unstorable(text))
    kept = "".join(sign if unicodedata.category(sign)[0] in "LMN" or sign in TAG_SIGNS else " " for sign in text)
    return " ".join(kept.lstrip(TAG_SIGNS + " ").split())[:_MAX_TAG].rstrip()


def replace_unprintable(text: str) -> str:
    """Return the text with _ for each character that is not printed."""
    return "".join(letter if letter.isprintable() else "_" for letter in replace_unstorable(text))
