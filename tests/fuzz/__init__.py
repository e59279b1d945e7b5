"""Thousands of calls, valid and invalid, made from the OpenAPI document; `make fuzz` runs them."""
