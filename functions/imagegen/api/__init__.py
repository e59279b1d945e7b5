"""The edge: the only place that knows callables, HTTP, auth context and error codes."""
