"""Charts: complete without a script, live with one."""
