"""Jobs as tables: one row a job, and one row a group of jobs."""
