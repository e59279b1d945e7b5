"""Tests of the anomaly detector, one series at a time."""

import random
from collections.abc import Callable

import pytest

from imagegen.reports.anomalies import (
    ALL_REQUESTS,
    Anomaly,
    AnomalyKind,
    Counts,
    Findings,
    Scope,
    Severity,
    Subject,
    find,
)
from tests.support.anomalies import MODEL, PRICE, STYLE, WEEK, kinds, noisy, search, week, weeks


def test_spike_is_found_on_its_day() -> None:
    counts = weeks(1, 40)
    counts[-1][2] += 60
    findings = search(STYLE, *map(week, counts))
    assert kinds(findings) == [(AnomalyKind.SPIKE, "2026-11-11")]
    [spike] = findings.anomalies
    assert spike.observed == counts[-1][2]
    assert spike.expected == pytest.approx(40, rel=0.15)
    assert spike.low < spike.expected < spike.high < spike.observed
    assert spike.credits == pytest.approx(PRICE * (spike.observed - spike.expected), abs=1)


def test_day_without_requests_is_a_drop() -> None:
    counts = weeks(1, 40)
    counts[-1][4] = 0
    assert kinds(search(STYLE, *map(week, counts))) == [(AnomalyKind.DROP, "2026-11-13")]


def test_busy_sunday_is_a_spike() -> None:
    counts = [[100.0, 100, 100, 100, 120, 60, 30] for _ in range(13)]
    counts[-1][6] = 100
    assert (AnomalyKind.SPIKE, "2026-11-15") in kinds(search(STYLE, *map(week, counts)))


def test_past_outbreak_does_not_hide_a_new_spike() -> None:
    counts = weeks(3, 40)
    for day in (1, 2, 3):
        counts[-4][day] += 150
    counts[-1][2] += 60
    assert kinds(search(STYLE, *map(week, counts))) == [(AnomalyKind.SPIKE, "2026-11-11")]


def test_variation_as_usual_is_not_a_spike() -> None:
    chance = random.Random(4)
    last = [40.0, 40, 95, 40, 40, 40, 40]
    varied: list[list[float]] = [[noisy(chance, 40, dispersion=0.5) for _ in range(7)] for _ in range(12)]
    wild = search(STYLE, *map(week, [*varied, last]))
    calm = search(STYLE, *map(week, [*weeks(4, 40, 12), last]))
    assert (kinds(wild), kinds(calm)) == ([], [(AnomalyKind.SPIKE, "2026-11-11")])


def test_slow_rise_is_a_drift() -> None:
    counts = weeks(6, 40)
    for ago, rise in ((3, 1.1), (2, 1.25), (1, 1.35)):
        counts[-ago] = [round(count * rise) for count in counts[-ago]]
    findings = search(STYLE, *map(week, counts))
    assert kinds(findings) == [(AnomalyKind.DRIFT, None)]
    [drift] = findings.anomalies
    assert drift.observed == sum(counts[-1])
    assert "slow rise" in drift.message


def test_one_spike_is_not_a_drift() -> None:
    counts = weeks(5, 40)
    counts[-2][3] += 500
    assert kinds(search(STYLE, *map(week, counts))) == []


def test_failures_are_found_while_requests_are_as_usual() -> None:
    counts = weeks(6, 40)
    findings = search(
        STYLE, *(week(of_week, [2] * 7) for of_week in counts[:-1]), week(counts[-1], [2, 2, 2, 20, 2, 2, 2])
    )
    assert kinds(findings) == [(AnomalyKind.FAILURES, "2026-11-12")]
    [failures] = findings.anomalies
    assert failures.observed == pytest.approx(20 / counts[-1][3])
    assert failures.expected == pytest.approx(0.05, abs=0.01)
    assert failures.credits == pytest.approx(PRICE * 18, abs=2)


def test_failures_of_several_days_are_counted_together() -> None:
    counts = [[20.0] * 7 for _ in range(13)]
    findings = search(
        STYLE, *(week(of_week, [1] * 7) for of_week in counts[:-1]), week(counts[-1], [1, 5, 6, 5, 1, 1, 1])
    )
    [failures] = findings.anomalies
    assert {failures.day, *failures.also} == {"2026-11-10", "2026-11-11", "2026-11-12"}
    assert failures.observed == pytest.approx(16 / 60)


def test_first_failure_of_a_series_is_not_an_anomaly() -> None:
    quiet = [week([40.0] * 7) for _ in range(4)]
    assert kinds(search(STYLE, *quiet, week([40.0] * 7, [0, 0, 1, 0, 0, 0, 0]))) == []
    assert kinds(search(STYLE, *quiet, week([40.0] * 7, [0, 0, 15, 0, 0, 0, 0]))) == [
        (AnomalyKind.FAILURES, "2026-11-11")
    ]


def test_varying_failure_rate_raises_the_threshold() -> None:
    def bad(rate: Callable[[random.Random], float]) -> Findings:
        chance = random.Random(7)
        before = [week([5000.0] * 7, [round(5000 * rate(chance)) for _ in range(7)]) for _ in range(12)]
        return search(STYLE, *before, week([5000.0] * 7, [250, 250, 330, 250, 250, 250, 250]))

    assert kinds(bad(lambda chance: chance.uniform(0.03, 0.07))) == []
    assert kinds(bad(lambda chance: 0.05)) == [(AnomalyKind.FAILURES, "2026-11-11")]


def test_too_few_weeks_are_reported_as_not_enough_history() -> None:
    counts = list(map(week, weeks(8, 40, 3)))
    counts[-1] = week([400.0] * 7)
    findings = search(ALL_REQUESTS, *counts)
    assert (findings.not_enough_history, findings.anomalies, findings.bands) == ([ALL_REQUESTS], [], ())
    assert findings.series_tested == 0
    findings = search(ALL_REQUESTS, counts[0], *counts)
    assert (findings.not_enough_history, findings.series_tested) == ([], 1)
    assert kinds(findings)[0][0] is AnomalyKind.SPIKE


def test_subject_without_history_is_reported_as_not_enough_history() -> None:
    assert find(WEEK, {STYLE: week([9.0] * 7)}, {}).not_enough_history == [STYLE]


def test_series_of_zeros_has_no_anomaly() -> None:
    assert kinds(search(STYLE, *([week([0.0] * 7)] * 13))) == []


def test_user_is_tested_by_week_and_never_for_a_drop() -> None:
    user = Subject(Scope.USER, "user-7")
    before = [[Counts(requests, 1, PRICE * requests)] for requests in (18, 25, 20, 22, 17, 21)]
    [spike] = search(user, *before, [Counts(150, 5, PRICE * 150)]).anomalies
    assert (spike.kind, spike.day, spike.observed) == (AnomalyKind.SPIKE, None, 150)
    assert kinds(search(user, *before, [Counts()])) == []
    [failures] = search(user, *before, [Counts(20, 18, PRICE * 20)]).anomalies
    assert (failures.kind, failures.day) == (AnomalyKind.FAILURES, None)


def test_anomaly_of_a_few_credits_is_not_reported() -> None:
    before = [week([1.0, 0, 0, 1, 0, 0, 0])] * 12
    assert kinds(search(STYLE, *before, week([0, 0, 9.0, 0, 0, 0, 0]))) == []
    assert kinds(search(STYLE, *before, week([0, 0, 16.0, 0, 0, 0, 0]))) == [(AnomalyKind.SPIKE, "2026-11-11")]


def test_anomaly_of_requests_that_cost_nothing_is_not_reported() -> None:
    user = Subject(Scope.USER, "user")
    found = find(WEEK, {user: [Counts(10**6, 10**3, 0)]}, {user: [[Counts(1_000, 5, 0)]] * 5})
    assert (found.anomalies, found.series_tested) == ([], 1)


def test_most_severe_anomaly_comes_first() -> None:
    total, other = week([100.0] * 7), Subject(Scope.COLOR, "neon")
    small, large = [10.0] * 7, [20.0] * 7
    small[2], large[5] = 42, 320
    findings = find(
        WEEK,
        {ALL_REQUESTS: total, STYLE: week(small), other: week(large)},
        {ALL_REQUESTS: [total] * 12, STYLE: [week([10.0] * 7)] * 12, other: [week([20.0] * 7)] * 12},
    )
    assert [(anomaly.subject, anomaly.severity) for anomaly in findings.anomalies] == [
        (other, Severity.HIGH),
        (STYLE, Severity.HIGH),
    ]
    assert findings.anomalies[0].credits > findings.anomalies[1].credits


SENTENCES = [
    (
        Anomaly(
            STYLE, AnomalyKind.SPIKE, "2026-11-11", 1300, 800.0, 700, 905, 1 / 4834, Severity.HIGH, 1002, ["2026-11-13"]
        ),
        "anime (style): 1,300 requests instead of 700 to 905 on Wednesday 11 November (also on Friday). "
        "By chance, this happens once in 4,800 times. About 1,002 credits more than expected.",
    ),
    (
        Anomaly(ALL_REQUESTS, AnomalyKind.DRIFT, None, 70, 100.2, 80, 120, 1e-12, Severity.LOW, 60),
        "all requests: a slow fall over the last weeks to 70 requests instead of 80 to 120 this week. "
        "By chance, this happens less than once in a billion times. About 60 credits fewer than expected.",
    ),
    (
        Anomaly(MODEL, AnomalyKind.FAILURES, "2026-11-12", 0.631, 0.05, 0.0, 0.084, 2e-6, Severity.LOW, 50),
        "Model B (model): 63% of the requests failed instead of 0% to 8.4% on Thursday 12 November. "
        "By chance, this happens once in 500,000 times. About 50 credits more than usual were refunded.",
    ),
]


@pytest.mark.parametrize(("anomaly", "sentence"), SENTENCES, ids=["spike", "drift", "failures"])
def test_anomaly_message_is_one_sentence(anomaly: Anomaly, sentence: str) -> None:
    assert anomaly.message == sentence
