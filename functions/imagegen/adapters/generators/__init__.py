"""Image generators, and the retries and deadline around each of them."""
