"""Attempts: claims, leases, outcomes, and their provenance."""
