"""One line for one event, though it shows in many series.

A user who sends a thousand requests raises the total, and the model, style, color and size of these requests. An outage
of a model raises the failure rate of everything that is made with it. The operator wants to read the user, or the
model. So what was found is told from the most specific to the most general, without what is explained already:

- A user explains a rise of anything that is no larger than the user's own, give or take a half.
- An option explains a rise in another scope, or in the total, that is no larger than its own on the same days, give or
  take a half. It never explains another option of its own scope: a request has one style.
- The total explains an option that rose in about its proportion, and both of them such a user. What rose in proportion
  with something larger says nothing about why that rose.

What these rules cannot see is a second, smaller event on the same day in another scope.
"""

from collections.abc import Sequence

from imagegen.reports.anomalies.findings import Scope, Subject
from imagegen.reports.anomalies.significance import SHARE_EXPLAINED, Deviation

PROPORTION = 1.5


def unexplained(deviations: Sequence[Deviation], told: Sequence[Deviation] = ()) -> list[Deviation]:
    """What is no mere consequence of the rest or of what is ``told`` before, all of which deviates in one direction."""
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
                and not any(_explains(other, candidate, result.days) for other in (*told, *found.values()))
            ]
            if left and candidate.subject not in found:
                found[candidate.subject] = Deviation(left)
    return list(found.values())


def _explains(one: Deviation, other: Deviation, days: Sequence[int] | None) -> bool:
    if one.subject.scope is other.subject.scope:
        return False
    if one.subject.scope is Scope.TOTAL or other.subject.scope is Scope.USER:
        return _in_proportion(other, one, days)
    return one.excess(days) >= SHARE_EXPLAINED * other.excess(days)


def _in_proportion(part: Deviation, whole: Deviation, days: Sequence[int] | None) -> bool:
    """Whether ``part`` rose about as much as ``whole`` did at that time, compared with what is usual for each."""
    return part.excess(days) * whole.usual(days) <= PROPORTION * whole.excess(days) * part.usual(days)
