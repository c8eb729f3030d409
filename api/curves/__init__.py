"""Curves and histograms: points in compressed chunks, read whole or reduced."""
