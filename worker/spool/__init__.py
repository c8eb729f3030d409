"""The spool between trainer and reporter."""
