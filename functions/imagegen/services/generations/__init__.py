"""Generation requests: create, run, settle, cancel and read."""
