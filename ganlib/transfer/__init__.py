"""Classifiers made from a discriminator's first layers, beside the same ones from scratch."""
