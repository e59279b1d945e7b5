"""Images: check what a provider made, fit it to the order, and store it."""
