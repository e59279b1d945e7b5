"""Benchmarks, and the pages in docs/ that they write."""
