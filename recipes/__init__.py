"""One job spec for each published experiment; the files are what matters, `ganvas demo` finds one through this."""
