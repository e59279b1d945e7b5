"""The emulators: finding, starting, watching and stopping them."""
