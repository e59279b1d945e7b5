"""Webhooks: the outbox, deliveries, their attempts and the signing secrets."""
