"""Implementations of the ports: Firestore, Cloud Tasks, webhooks over HTTP, image generators."""
