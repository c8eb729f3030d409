"""Networks as layer lists, and the modules that they become."""
