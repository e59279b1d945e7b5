"""`make docs`: the generated documents and tables."""
