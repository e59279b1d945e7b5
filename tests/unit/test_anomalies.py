"""What stands out from its own recent weeks, and what does not."""

import pytest

from imagegen.domain.anomalies import Metric, Scope, Series, find

SERIES = Series(Scope.STYLE, "anime", Metric.REQUESTS)


@pytest.mark.parametrize(
    ("count", "history", "flagged"),
    [
        (200, [100, 110, 90, 100], True),
        (125, [100, 110, 90, 100], False),
        (200, [40, 160, 30, 170], False),
        (60, [20, 20, 20], True),
        (30, [20, 20, 20], False),
        (9, [0, 0, 0], False),
        (10, [0, 0, 0], True),
        (1000, [10, 10], False),
        (1000, [], False),
        (0, [100, 100, 100], False),
    ],
    ids=[
        "double",
        "within three deviations",
        "large, but no larger than it varies",
        "constant weeks still have a Poisson spread",
        "within that spread",
        "a few after none are not worth a look",
        "ten after none are",
        "two weeks are too few",
        "no history",
        "a drop is not a spike",
    ],
)
def test_a_count_is_flagged_when_it_is_far_above_its_weeks(count: int, history: list[int], flagged: bool) -> None:
    assert bool(find({SERIES: count}, {SERIES: history})) is flagged


def test_an_anomaly_carries_the_numbers_that_say_why() -> None:
    [anomaly] = find({SERIES: 200}, {SERIES: [100, 110, 90, 100]})
    assert (anomaly.observed, anomaly.expected, anomaly.weeks_compared) == (200, 100, 4)
    assert anomaly.threshold == 130
    assert anomaly.message == (
        "anime (style): 200 requests, expected about 100 and at most 130 from the 4 weeks before."
    )


def test_the_most_surprising_comes_first() -> None:
    other = Series(Scope.USER, "user", Metric.FAILED)
    history = {SERIES: [100, 100, 100], other: [1, 1, 1]}
    assert [anomaly.series for anomaly in find({SERIES: 150, other: 50}, history)] == [other, SERIES]
