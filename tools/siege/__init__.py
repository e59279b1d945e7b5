"""`make siege`: attacks production-like servers beside honest calls, on this machine only."""
