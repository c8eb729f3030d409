"""What the routes stand on: access, database, HTTP, broker, operations."""
