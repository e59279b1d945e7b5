"""`make seed`: the emulator export that everyone starts with."""
