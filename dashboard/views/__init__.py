"""What pages show: frozen dataclasses, and the functions that build them from what `api.queries` read."""
