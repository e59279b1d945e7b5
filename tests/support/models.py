"""The models that the end-to-end suite has besides the seeded ones."""

BROKEN = "Model Broken"
"""Always fails."""

SLOW = "Model Slow"
"""Never answers in time."""

LATE = "Model Late"
"""Takes long enough to be watched."""
