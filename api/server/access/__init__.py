"""Authentication and authorisation: tokens, logins, scopes, rate limits."""
