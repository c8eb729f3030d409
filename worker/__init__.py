"""The worker: claims a job over HTTP, supervises a trainer process and reports what it makes."""
