"""Tests that hostile receivers do not keep other users' webhooks waiting."""

import pytest

from simulation.webhook_load import Hang, accepts_late, never_answers, run


@pytest.mark.parametrize(
    ("hang", "urls"),
    [(never_answers, 1), (never_answers, 10_000), (accepts_late, 1), (accepts_late, 10_000)],
    ids=["one URL hangs", "each URL hangs", "one URL accepts late", "each URL accepts late"],
)
def test_hostile_receiver_takes_few_slots(hang: Hang, urls: int) -> None:
    load = run(hang, hours=0.5, urls=urls)
    assert load.honest_delay_seconds < 1
    assert load.first_slots + load.retry_slots < 8
