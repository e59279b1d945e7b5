"""Tests of the simulation itself, and the worlds that every test run simulates."""
