"""Finds, starts, watches and stops the emulators."""
