"""The Python client of the service, and the worker's side of HTTP."""
