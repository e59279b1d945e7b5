"""The ports: interfaces to the outside, implemented by adapters and by fakes."""
