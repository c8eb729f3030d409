"""Logged models, registered models and their versions."""
