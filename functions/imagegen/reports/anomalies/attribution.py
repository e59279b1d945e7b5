"""Reports each event once, although it appears in many series.

A user who sends a thousand requests raises the total, and the model, style, color and size of these requests. An outage
of a model raises the failure rate of all styles, colors and sizes made with it. The operator wants to see only the user
or the model. So deviations are reported from the most specific to the most general, and a deviation is left out if a
reported one explains it:

- A user explains a rise of any option or of the total that is at most 1.5 times the user's own.
- An option explains a rise of the total or of an option of another kind that is at most 1.5 times its own on the same
  days. It never explains another option of its own kind, because a request has only one option of each kind.
- The total explains an option that rose in about the same proportion. The total and an option explain a user that did.
  A series that rose in proportion with a larger one does not show why the larger one rose.

These rules miss a second, smaller event on the same day in another scope.
"""

from collections.abc import Sequence

from imagegen.reports.anomalies.findings import Scope, Subject
from imagegen.reports.anomalies.significance import SHARE_EXPLAINED, Deviation

PROPORTION = 1.5
"""A part has risen in proportion with the whole if its relative rise is at most this many times the whole's."""


def unexplained(deviations: Sequence[Deviation], reported: Sequence[Deviation] = ()) -> list[Deviation]:
    """Return the deviations that no other one explains, and none in ``reported``. All must have one direction."""
    ordered = sorted(deviations, key=lambda deviation: deviation.worst.p_value)
    users = [deviation for deviation in ordered if deviation.subject.scope is Scope.USER]
    totals = [deviation for deviation in ordered if deviation.subject.scope is Scope.TOTAL]
    options = [deviation for deviation in ordered if deviation.subject.scope not in (Scope.USER, Scope.TOTAL)]
    found: dict[Subject, Deviation] = {}
    for candidates, wider in (
        (users, [*totals, *options]),
        (options, totals),
        (totals, []),
        (options, []),
        (users, []),
    ):
        for candidate in candidates:
            left = [
                result
                for result in candidate.results
                if not any(_in_proportion(candidate, other, result.days) for other in wider)
                and not any(_explains(other, candidate, result.days) for other in (*reported, *found.values()))
            ]
            if left and candidate.subject not in found:
                found[candidate.subject] = Deviation(left)
    return list(found.values())


def _explains(one: Deviation, other: Deviation, days: Sequence[int] | None) -> bool:
    """Return whether ``one`` explains ``other`` on these days."""
    if one.subject.scope is other.subject.scope:
        return False
    if one.subject.scope is Scope.TOTAL or other.subject.scope is Scope.USER:
        return _in_proportion(other, one, days)
    return one.excess(days) >= SHARE_EXPLAINED * other.excess(days)


def _in_proportion(part: Deviation, whole: Deviation, days: Sequence[int] | None) -> bool:
    """Return whether ``part`` rose in about the same proportion as ``whole`` on these days."""
    return part.excess(days) * whole.usual(days) <= PROPORTION * whole.excess(days) * part.usual(days)
