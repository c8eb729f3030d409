"""The subcommands of `ganvas`, one a file."""
