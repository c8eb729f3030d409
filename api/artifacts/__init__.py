"""Stored files: routes, rows, the blob store, and generators exported from checkpoints."""
