"""How many of an attempt's events the service has taken: the reporter writes it down, the trainer reads it."""

import json
from pathlib import Path

from ganlib.files import is_no_room


def read_position(path: Path) -> int:
    """Return the number of the event that comes next; 0 where none was taken yet."""
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["next_seq"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def write_position(path: Path, next_seq: int) -> None:
    """Keep the position; on a full disk the older one stays.

    Not fsynced: an older position only means that the service is told twice, which it tells apart by number.
    """
    temporary = path.with_name(f"{path.name}.part")
    try:
        temporary.write_text(json.dumps({"next_seq": next_seq}), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        if not is_no_room(error):
            raise
