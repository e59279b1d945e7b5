"""Conversion of values to and from Firestore documents."""
