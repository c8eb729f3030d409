"""The trainer process and how it is started."""
