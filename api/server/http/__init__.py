"""Request and answer handling that all routes share."""
