"""What the backend does: the money path, credits and their history, the catalog, the weekly report."""
