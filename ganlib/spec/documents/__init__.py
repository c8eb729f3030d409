"""Specs as texts: YAML 1.2 and JSON, read within limits that are checked first, and YAML written."""
