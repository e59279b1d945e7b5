"""Developer tools: what `make` runs. Nothing in here is deployed."""
