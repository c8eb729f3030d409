"""Signals: what is measured of every run while it trains, without a classifier, to tell when it goes wrong."""
