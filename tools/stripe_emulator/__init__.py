"""A local emulator of Stripe: its API, its checkout page and its webhooks, for the demo project and for tests."""
