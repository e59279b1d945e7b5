"""Tests of the simulation, and the simulations that every test run makes."""
