"""Purchases: packages on sale, creating, reconciling and reading purchases."""
