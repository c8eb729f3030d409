"""Infrastructure of the routes: access, database, HTTP, broker, operations."""
