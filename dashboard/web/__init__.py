"""What all pages share: rendering, static files, requests, formats, login, errors."""
