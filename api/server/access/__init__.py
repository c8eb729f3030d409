"""Who asks and what that allows: tokens, logins, scopes, rate limits."""
