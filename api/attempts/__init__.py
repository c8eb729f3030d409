"""Attempts: claims, leases, outcomes, and what ran."""
