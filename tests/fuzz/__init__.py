"""Sends thousands of valid and invalid calls built from the OpenAPI document. `make fuzz` runs all of them."""
