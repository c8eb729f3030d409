"""The process that delivers one run: `python -m ganvas.tracking.sender FOLDER`."""
