"""The values and rules for credits, requests, limits and webhooks. They do no input or output."""
