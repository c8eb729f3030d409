"""`ganvas restore`; see `ganvas.commands.backup`."""

from ganvas.commands.backup import restore_command as command

__all__ = ["command"]
