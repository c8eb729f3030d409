"""Feature extractors: what evaluation metrics know of an image, each by name and version."""
