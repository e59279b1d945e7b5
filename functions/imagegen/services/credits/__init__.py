"""Credits: accounts, history, corrections and the audit."""
