"""Draws figures and movies in a process of its own, so that the service stays small and never waits for one."""
