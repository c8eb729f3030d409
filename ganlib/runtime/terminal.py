"""Output that every terminal can show: what its encoding lacks is written plainly, and ends no program."""

import codecs
import io
import os
import sys

# Marks of our own texts; all else, such as letters of a run's name, is written as its code: \xe9.
_PLAIN = {
    "→": "->", "←": "<-", "…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "·": "*", "±": "+-", "≤": "<=",
    "≥": ">=", "“": '"', "”": '"', "‘": "'", "’": "'", "▲": "^", "✓": "ok", "²": "^2", "³": "^3", "\u00a0": " ",
    "\u202f": " ",
}  # fmt: skip
_ERRORS = "ganvas_plain"
_ASCII = "ganvas_ascii"


def prepare_output() -> None:
    """Let standard output and error take any text, whatever the terminal's encoding, or without a terminal."""
    _open_missing()
    codecs.register_error(_ERRORS, _write_plainly)
    codecs.register(_find_codec)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Under the name of ASCII click would write UTF-8 in its place.
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=_ASCII if is_ascii else None, errors=_ERRORS)


def _open_missing() -> None:
    """Open what the caller has closed (`>&-`), so that no file that is opened later takes its number."""
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)
            if nowhere > 2:
                os.close(nowhere)
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115 (for good)
            setattr(sys, name, stream)


def leave_closed_output() -> None:
    """Drop what is still to be written to a pipe that nobody reads any more, so that Python ends quietly."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def strip_controls(text: str) -> str:
    """Return a text from elsewhere, such as a log line, without what would steer a terminal."""
    return "".join(sign if sign.isprintable() or sign in "\t\u200c\u200d" else _escape(sign) for sign in text)


def _escape(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode() if ord(text) > 127 else f"\\x{ord(text):02x}"


def _write_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    plain = (_PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in missing)
    return "".join(plain), error.end


def _find_codec(name: str) -> codecs.CodecInfo | None:
    if name != _ASCII:
        return None
    known = codecs.lookup("ascii")
    return codecs.CodecInfo(
        known.encode, known.decode, known.streamreader, known.streamwriter, known.incrementalencoder,
        known.incrementaldecoder, name=_ASCII,
    )  # fmt: skip
