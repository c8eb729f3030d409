"""Stored files: the blob store, its routes and rows, and what is cut out of a checkpoint."""
