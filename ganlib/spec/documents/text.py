"""Bytes of a file or a request as text: UTF-8, or UTF-16 and UTF-32 that begin with a byte order mark."""

import codecs
import re

from ganlib.spec.documents.nodes import Unreadable, at

# Those of UTF-32 come first: one of them begins like UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BREAK = re.compile(r"\r\n?")
# What YAML 1.2 (section 5.1) does not allow: control characters, and halves of surrogate pairs.
_REFUSED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def decode_text(raw: bytes) -> str:
    """Return the text; raises Unreadable, which names the first byte that belongs to no text."""
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode(encoding, "replace")
        place = at(before.count("\n") + 1, len(before) - before.rfind("\n"))
        shown = encoding.upper()
        raise Unreadable(f"{place}: this is no text in {shown}; save the file as UTF-8") from None


def clean_text(text: str) -> str:
    """Return YAML text without a byte order mark, with LF alone; raises Unreadable for control characters."""
    text = _BREAK.sub("\n", text.removeprefix("\ufeff"))
    refused = _REFUSED.search(text)
    if refused is None:
        return text
    place = at(text.count("\n", 0, refused.start()) + 1, refused.start() - text.rfind("\n", 0, refused.start()))
    name = "NUL" if refused[0] == "\0" else f"U+{ord(refused[0]):04X}"
    raise Unreadable(
        f"{place}: the character {name} is not allowed in YAML; remove it, or save the file as UTF-8 text"
    )
