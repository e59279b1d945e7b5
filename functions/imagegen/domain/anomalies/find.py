"""Runs all tests of a week and tells what is left after the correction for their number."""

from collections.abc import Mapping, Sequence

from imagegen.domain.anomalies.findings import Counts, Findings, Subject
from imagegen.domain.weeks import Week

WEEKS_COMPARED = 12
WEEKS_NEEDED = 3


def find(
    week: Week,
    observed: Mapping[Subject, Sequence[Counts]],
    history: Mapping[Subject, Sequence[Sequence[Counts]]],
) -> Findings:
    """What stands out in ``observed``: seven Counts of a subject, Monday first, or a single one of a user.

    ``history`` has the weeks before, oldest first, each as long; weeks before the first one in use are left out.
    """
    raise NotImplementedError
