"""The backend's operations: generations, credits, webhooks, the catalog, the sweeper, retries and pagination."""
