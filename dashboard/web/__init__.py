"""Parts that all pages share: rendering, static files, requests, formats, specs, login, errors."""
