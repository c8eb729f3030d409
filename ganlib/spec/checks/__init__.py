"""Checks across the fields of a spec."""
