"""Networks built from layer lists, and the layers that torch does not have."""
