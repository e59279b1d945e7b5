"""Test of the queue's benchmark with few requests."""

from imagegen.domain.generation import Mode
from tests.support.live import Live
from tools.bench import queue


def test_benchmark_measures_both_modes(live: Live) -> None:
    measured = [queue.run(live, mode, requests=8, users=2) for mode in Mode]
    assert [{request.mode for request in one.requests} for one in measured] == [{Mode.SYNC}, {Mode.ASYNC}]
    assert [len(one.answered_after) for one in measured] == [8, 8]
    shown = {row[0]: row[1:] for row in queue.rows(measured)}
    assert shown["outcomes"] == ("8 completed", "8 completed")
    assert shown["Model A: wait for a worker, median"][0] == "0.0 s"
    assert 0 < measured[1].waited("Model A") < measured[1].seconds
