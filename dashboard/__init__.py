"""The dashboard: pages that are complete without a script and alive with one."""
