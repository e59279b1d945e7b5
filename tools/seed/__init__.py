"""`make seed`: writes the sample data that `make start` loads."""
