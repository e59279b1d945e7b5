"""Tests that an event which shows in many series is reported once."""

from collections.abc import Mapping, Sequence
from datetime import date

import pytest

from imagegen.domain.weeks import Week
from imagegen.reports.anomalies import ALL_REQUESTS, Anomaly, AnomalyKind, Counts, Scope, Subject, find

WEEK = Week(date(2026, 11, 9))
MODEL_A, MODEL_B = Subject(Scope.MODEL, "Model A"), Subject(Scope.MODEL, "Model B")
ANIME, SKETCH = Subject(Scope.STYLE, "anime"), Subject(Scope.STYLE, "sketch")
NEON, PASTEL = Subject(Scope.COLOR, "neon"), Subject(Scope.COLOR, "pastel")
USERS = [Subject(Scope.USER, f"user-{number}") for number in range(5)]
USUAL = {ALL_REQUESTS: 400, MODEL_A: 240, MODEL_B: 160, ANIME: 200, SKETCH: 200, NEON: 120, PASTEL: 280}
WOBBLE = (0, 4, -4, 2, -2, 6, -6, 3, -3, 5, -5, 1, -1)
"""Added to the counts of the weeks before, so that they differ."""

Extra = Mapping[Subject, Sequence[int]]


def anomalies(requests: Extra = {}, failed: Extra = {}) -> Sequence[Anomaly]:  # noqa: B006  read only
    """Return the anomalies of a usual week with these requests and failures added.

    Usually, one request in twenty fails. The additions are by day, and those of a user by week.
    """
    observed, history = {}, {}
    for subject, usual in USUAL.items():
        history[subject] = [[_counts(usual + WOBBLE[(3 * week + day) % 13]) for day in range(7)] for week in range(12)]
    for user in USERS:
        history[user] = [[_counts(100 + WOBBLE[week])] for week in range(12)]
    for subject, weeks in history.items():
        nothing = [0] * 7
        observed[subject] = [
            _counts(counts.requests + more, worse)
            for counts, more, worse in zip(
                weeks[-1], requests.get(subject, nothing), failed.get(subject, nothing), strict=False
            )
        ]
    return find(WEEK, observed, history).anomalies


def _counts(requests: int, failed: int = 0) -> Counts:
    return Counts(requests, requests // 20 + failed, 2 * requests)


def reported(found: Sequence[Anomaly]) -> set[tuple[Subject, AnomalyKind]]:
    return {(anomaly.subject, anomaly.kind) for anomaly in found}


def on_wednesday(number: float) -> list[int]:
    return [0, 0, round(number), 0, 0, 0, 0]


def test_usual_week_has_no_anomaly() -> None:
    assert anomalies() == []


def test_rise_caused_by_one_user_is_attributed_to_the_user() -> None:
    rise = {subject: on_wednesday(1000 * usual / 400) for subject, usual in USUAL.items()}
    found = anomalies({**rise, USERS[3]: [1000]})
    assert reported(found) == {(USERS[3], AnomalyKind.SPIKE)}
    assert found[0].credits == pytest.approx(2000, rel=0.02)


def test_rise_of_every_option_is_attributed_to_the_total() -> None:
    rise = {subject: on_wednesday(usual) for subject, usual in USUAL.items()}
    assert reported(anomalies(rise)) == {(ALL_REQUESTS, AnomalyKind.SPIKE)}


def test_rise_of_one_style_is_attributed_to_the_style() -> None:
    rise = {ANIME: 200, ALL_REQUESTS: 200, MODEL_A: 120, MODEL_B: 80, NEON: 60, PASTEL: 140}
    assert reported(anomalies({subject: on_wednesday(more) for subject, more in rise.items()})) == {
        (ANIME, AnomalyKind.SPIKE)
    }


def test_two_styles_that_rise_are_both_reported() -> None:
    before = {ANIME: [0, 200, 0, 0, 0, 0, 0], SKETCH: [0, 0, 0, 0, 200, 0, 0]}
    found = anomalies({**before, ALL_REQUESTS: [0, 200, 0, 0, 200, 0, 0]})
    assert reported(found) == {(ANIME, AnomalyKind.SPIKE), (SKETCH, AnomalyKind.SPIKE)}
    assert {anomaly.day for anomaly in found} == {"2026-11-10", "2026-11-13"}


def test_outage_of_one_model_is_attributed_to_the_model() -> None:
    bad = {MODEL_B: 80, ALL_REQUESTS: 80, ANIME: 40, SKETCH: 40, NEON: 24, PASTEL: 56}
    found = anomalies(failed={subject: on_wednesday(more) for subject, more in bad.items()})
    assert reported(found) == {(MODEL_B, AnomalyKind.FAILURES)}
    assert found[0].day == "2026-11-11"


def test_outage_of_everything_is_attributed_to_the_total() -> None:
    bad = {subject: on_wednesday(usual / 2) for subject, usual in USUAL.items()}
    users = {user: [7] for user in USERS}
    assert reported(anomalies(failed={**bad, **users})) == {(ALL_REQUESTS, AnomalyKind.FAILURES)}


def test_user_who_fails_far_more_often_is_reported_too() -> None:
    bad = {subject: on_wednesday(usual / 2) for subject, usual in USUAL.items()}
    found = anomalies(failed={**bad, USERS[0]: [90]})
    assert reported(found) == {(ALL_REQUESTS, AnomalyKind.FAILURES), (USERS[0], AnomalyKind.FAILURES)}


def test_event_of_several_days_is_one_anomaly() -> None:
    found = anomalies({subject: [0, 150, 160, 170, 0, 0, 0] for subject in (ANIME, ALL_REQUESTS)})
    [spike] = found
    assert (spike.subject, spike.day, spike.also) == (ANIME, "2026-11-11", ["2026-11-10", "2026-11-12"])
    assert spike.credits == pytest.approx(2 * 480, rel=0.05)


def test_drift_is_not_reported_beside_its_spikes() -> None:
    found = anomalies({subject: [150] * 7 for subject in (ANIME, ALL_REQUESTS)})
    assert reported(found) == {(ANIME, AnomalyKind.SPIKE)}


def test_large_event_does_not_lower_the_threshold_for_others() -> None:
    """The other event is a single day of one color, and only just unusual."""
    just_unusual = {NEON: [0, 0, 0, 0, 0, 26, 0]}
    everywhere = {subject: on_wednesday(usual) for subject, usual in USUAL.items() if subject is not NEON}
    together = {**everywhere, NEON: [0, 0, 120, 0, 0, 26, 0]}
    assert reported(anomalies(just_unusual)) == set()
    assert reported(anomalies(together)) == {(ALL_REQUESTS, AnomalyKind.SPIKE)}
