"""`python -m ganvas` is the `ganvas` command."""

from ganvas.cli import main

main()
