"""How much of one attempt waits on disk for its delivery: events and the files that they name."""

from collections import deque
from pathlib import Path

from worker.position import read_position

# What waits is remembered in blocks of so many bytes, not event by event.
_BLOCK_BYTES = 64 * 1024


class Backlog:
    """Counts what was written to the spool and not yet taken by the service.

    position_path: where the reporter notes how far it has come. max_bytes: how much may wait.
    """

    def __init__(self, position_path: Path, max_bytes: int) -> None:
        self._position_path = position_path
        self._block_bytes = min(_BLOCK_BYTES, max(max_bytes // 16, 1))
        # The last number and the size of each block that the service has not taken.
        self._blocks: deque[tuple[int, int]] = deque()
        self.bytes = 0

    def add(self, seq: int, size: int) -> None:
        """Count one event of this number, its file included."""
        if self._blocks and self._blocks[-1][1] < self._block_bytes:
            _, before = self._blocks.pop()
            self._blocks.append((seq, before + size))
        else:
            self.forget_delivered()
            self._blocks.append((seq, size))
        self.bytes += size

    def forget_delivered(self) -> None:
        """Count no more what the service has taken."""
        next_seq = read_position(self._position_path)
        while self._blocks and self._blocks[0][0] < next_seq:
            self.bytes -= self._blocks.popleft()[1]
