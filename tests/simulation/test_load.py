"""Tests that a queue recovers from a backlog once its load is below its pace."""

import random
from functools import cache

import pytest

from simulation import load
from tests.support.scale import scaled

first_run = cache(load.run)


@pytest.mark.parametrize("seed", scaled([1, 2, 7], range(40)))
def test_queue_drains_after_a_burst(seed: int) -> None:
    result = first_run(seed)
    assert [str(violation) for violation in result.violations] == []
    requests = sum(result.statuses.values())
    assert result.put_count <= requests * (1 + load.EXTRA_SHARE_MAX)


def test_same_seed_gives_the_same_result() -> None:
    assert load.run(1) == first_run(1)


def test_seeds_cover_every_fault() -> None:
    plans = [load.Plan.drawn(random.Random(seed)) for seed in range(scaled(5, 40))]
    assert any(plan.lost_before for plan in plans)
    assert any(plan.lost_after for plan in plans)
    assert any(plan.failed for plan in plans)
    assert any(plan.repeats for plan in plans)
    assert any(plan.backlog == 3600 / load.PACE_SECONDS for plan in plans)
    assert any(plan.outage[0] < plan.outage[1] for plan in plans)
