"""Tests of the benchmark of the anomaly detector, with few years."""

from dataclasses import replace

import numpy as np
import pytest

from tools.bench.anomalies import EVENTS, FALSE_ALERTS, Outcome, days_to_detection, jobs, rows, run, thresholds
from tools.bench.anomaly_methods import METHODS, ours
from tools.bench.anomaly_tables import PAGE, START, figures, tables, up_to_date
from tools.bench.anomaly_years import DAYS, Event, Series, plant, year

MEAN = 60
SPIKE, DRIFT = EVENTS[2], EVENTS[5]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [run(job) for job in jobs(seed=1, quiet_years=2, events=5, means=[MEAN])]


def test_every_event_has_a_row_and_our_detector_finds_large_events(outcomes: list[Outcome]) -> None:
    found, nominal = rows(outcomes)
    assert [row.event for row in found] == list(EVENTS)
    assert all(row.found.keys() == METHODS.keys() for row in found)
    by_name = {row.event.name: row for row in found}
    assert by_name["failures 5 to 40 %"].found["ours"] == 1
    assert by_name["failures 5 to 40 %"].days["ours"] < 3
    assert by_name[SPIKE.name].found_by_day["ours"] >= by_name[SPIKE.name].found["last week"]
    assert all(entry.share < 3 * entry.p_value for entry in nominal if entry.p_value == 0.01)
    assert [shown.row_count for shown in tables(found)] == [6, 8]


def test_every_method_raises_equally_many_false_alerts(outcomes: list[Outcome]) -> None:
    [quiet] = [outcome for outcome in outcomes if not outcome.job.event]
    for key, threshold in thresholds(quiet, 7).items():
        assert np.mean(quiet.scores[key].max(axis=2) > threshold) == pytest.approx(FALSE_ALERTS, abs=0.01)


def test_year_is_determined_by_its_seed_and_mean() -> None:
    one, other = (year(np.random.default_rng(3), MEAN) for _ in range(2))
    assert (one.requests == other.requests).all()
    assert one.usual.mean() == pytest.approx(MEAN)
    assert one.requests.mean() == pytest.approx(MEAN, rel=0.1)
    assert (one.failed <= one.requests).all()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_planted_event_changes_only_its_days(event: Event) -> None:
    rng = np.random.default_rng(4)
    quiet = year(rng, 500)
    planted = plant(rng, quiet, replace(event, after_outbreak=False), 100)
    changed = (planted.requests != quiet.requests) | (planted.failed != quiet.failed)
    assert set(np.flatnonzero(changed)) <= set(range(100, 100 + event.days))
    assert changed[100 + event.days - 1]
    assert len(planted.requests) == DAYS


def test_detection_is_counted_from_the_first_day_of_the_event() -> None:
    quiet = np.zeros((6, 8))
    late, whole, early = quiet.copy(), quiet.copy(), quiet.copy()
    late[1, 2], whole[1, 7], early[0, 0] = 5, 5, 5
    drift = replace(DRIFT, days=42)
    assert days_to_detection(late, 0, drift, 4) == 10
    assert days_to_detection(whole, 0, drift, 4) == 14
    assert days_to_detection(quiet, 0, drift, 4) is None
    assert days_to_detection(early, 1, SPIKE, 4) is None
    assert days_to_detection(early, 0, SPIKE, 4) == 1


def test_benchmark_runs_the_deployed_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    data = year(np.random.default_rng(5), MEAN)
    data.requests[7 * 20 + 3] += 80
    before = ours(data, Series.REQUESTS, 20)
    monkeypatch.setattr("imagegen.reports.anomalies.drift.SMOOTHING", 0.9)
    monkeypatch.setattr("imagegen.reports.anomalies.expectation.DISPERSION", 9.0)
    after = ours(data, Series.REQUESTS, 20)
    assert before[3] > after[3] > 0
    assert before[7] != after[7]


def test_figures_are_written_between_the_marks_of_the_page(outcomes: list[Outcome]) -> None:
    text = PAGE.read_text("utf-8")
    new = up_to_date(text, *rows(outcomes))
    assert new.startswith(text.partition(START)[0])
    assert "\n".join(figures(*rows(outcomes))) in new
    with pytest.raises(ValueError, match="no marks"):
        up_to_date("", *rows(outcomes))


def test_page_lists_every_event() -> None:
    text = PAGE.read_text("utf-8")
    for event in EVENTS:
        assert f"| {event.name} |" in text
