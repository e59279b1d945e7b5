"""Image generators, and what wraps any of them: retries and a deadline."""
