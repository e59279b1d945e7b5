"""The API: the callable functions, validation, authentication and logs."""
