"""The REST API: another entry to the operations, with paths, HTTP statuses and names in snake_case."""
