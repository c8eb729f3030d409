"""The database: engine, tables, clock, cursors."""
