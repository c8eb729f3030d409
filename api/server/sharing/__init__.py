"""Read-only links to one page for people without an account."""
