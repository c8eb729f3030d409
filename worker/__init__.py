"""The worker: claims jobs over HTTP, supervises a trainer process for each and delivers its events and files."""
