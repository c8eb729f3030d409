"""Specs that are not jobs yet: what is wrong with them, their networks, and the time that they would take."""
