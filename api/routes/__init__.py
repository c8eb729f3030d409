"""Routes: each parses, opens one transaction and returns what it read or wrote."""
