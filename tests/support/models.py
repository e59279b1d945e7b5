"""The additional models of the end-to-end suite."""

BROKEN = "Model Broken"
"""Always fails."""

SLOW = "Model Slow"
"""Never answers in time."""

LATE = "Model Late"
"""Takes long enough to observe its requests while they run."""

CANVAS = "Canvas"
"""Draws its images, which are stored."""

SWITCHED = "Model Switched"
"""Is turned off and on again by tests of the console."""
