"""One event shows in many series, and is told once."""

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
"""So that the weeks before are not all the same."""

Extra = Mapping[Subject, Sequence[int]]


def anomalies(requests: Extra = {}, failed: Extra = {}) -> Sequence[Anomaly]:  # noqa: B006  read only
    """A usual world, in which one request in twenty fails, with these requests and failures added to its last week.

    By day, or of a user by week.
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


def told(found: Sequence[Anomaly]) -> set[tuple[Subject, AnomalyKind]]:
    return {(anomaly.subject, anomaly.kind) for anomaly in found}


def on_wednesday(number: float) -> list[int]:
    return [0, 0, round(number), 0, 0, 0, 0]


def test_a_usual_week_has_nothing() -> None:
    assert anomalies() == []


def test_a_users_thousand_requests_are_the_users() -> None:
    rise = {subject: on_wednesday(1000 * usual / 400) for subject, usual in USUAL.items()}
    found = anomalies({**rise, USERS[3]: [1000]})
    assert told(found) == {(USERS[3], AnomalyKind.SPIKE)}
    assert found[0].credits == pytest.approx(2000, rel=0.02)


def test_without_a_user_who_explains_it_a_rise_of_everything_is_the_totals() -> None:
    rise = {subject: on_wednesday(usual) for subject, usual in USUAL.items()}
    assert told(anomalies(rise)) == {(ALL_REQUESTS, AnomalyKind.SPIKE)}


def test_a_rise_of_one_style_is_the_styles_and_not_the_totals() -> None:
    rise = {ANIME: 200, ALL_REQUESTS: 200, MODEL_A: 120, MODEL_B: 80, NEON: 60, PASTEL: 140}
    assert told(anomalies({subject: on_wednesday(more) for subject, more in rise.items()})) == {
        (ANIME, AnomalyKind.SPIKE)
    }


def test_two_styles_that_rise_together_are_both_told() -> None:
    before = {ANIME: [0, 200, 0, 0, 0, 0, 0], SKETCH: [0, 0, 0, 0, 200, 0, 0]}
    found = anomalies({**before, ALL_REQUESTS: [0, 200, 0, 0, 200, 0, 0]})
    assert told(found) == {(ANIME, AnomalyKind.SPIKE), (SKETCH, AnomalyKind.SPIKE)}
    assert {anomaly.day for anomaly in found} == {"2026-11-10", "2026-11-13"}


def test_an_outage_of_a_model_is_the_models() -> None:
    bad = {MODEL_B: 80, ALL_REQUESTS: 80, ANIME: 40, SKETCH: 40, NEON: 24, PASTEL: 56}
    found = anomalies(failed={subject: on_wednesday(more) for subject, more in bad.items()})
    assert told(found) == {(MODEL_B, AnomalyKind.FAILURES)}
    assert found[0].day == "2026-11-11"


def test_an_outage_of_everything_is_the_totals_and_nobodys_in_particular() -> None:
    bad = {subject: on_wednesday(usual / 2) for subject, usual in USUAL.items()}
    users = {user: [7] for user in USERS}
    assert told(anomalies(failed={**bad, **users})) == {(ALL_REQUESTS, AnomalyKind.FAILURES)}


def test_a_user_whose_requests_fail_far_more_than_all_is_told() -> None:
    bad = {subject: on_wednesday(usual / 2) for subject, usual in USUAL.items()}
    found = anomalies(failed={**bad, USERS[0]: [90]})
    assert told(found) == {(ALL_REQUESTS, AnomalyKind.FAILURES), (USERS[0], AnomalyKind.FAILURES)}


def test_an_event_of_several_days_is_one_line() -> None:
    found = anomalies({subject: [0, 150, 160, 170, 0, 0, 0] for subject in (ANIME, ALL_REQUESTS)})
    [spike] = found
    assert (spike.subject, spike.day, spike.also) == (ANIME, "2026-11-11", ["2026-11-10", "2026-11-12"])
    assert spike.credits == pytest.approx(2 * 480, rel=0.05)


def test_a_drift_is_not_told_beside_the_spikes_that_make_it() -> None:
    found = anomalies({subject: [150] * 7 for subject in (ANIME, ALL_REQUESTS)})
    assert told(found) == {(ANIME, AnomalyKind.SPIKE)}


def test_an_event_that_shows_everywhere_does_not_let_chance_through() -> None:
    """An unrelated day of one color that is only just unusual."""
    just_unusual = {NEON: [0, 0, 0, 0, 0, 26, 0]}
    everywhere = {subject: on_wednesday(usual) for subject, usual in USUAL.items() if subject is not NEON}
    together = {**everywhere, NEON: [0, 0, 120, 0, 0, 26, 0]}
    assert told(anomalies(just_unusual)) == set()
    assert told(anomalies(together)) == {(ALL_REQUESTS, AnomalyKind.SPIKE)}
