"""What implements the ports: Firestore, Cloud Tasks, webhooks over HTTP, image generators."""
