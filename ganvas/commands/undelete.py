"""`ganvas undelete`; see `ganvas.commands.delete`."""

from ganvas.commands.delete import undelete_command as command

__all__ = ["command"]
