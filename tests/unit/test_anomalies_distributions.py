"""Tests of the detector's distribution functions against SciPy's."""

import random

import numpy as np
import pytest
from scipy import stats

from imagegen.reports.anomalies.distributions import (
    beta_cdf,
    count_tails,
    failures_tail,
    gamma_tails,
    normal_tail,
    smallest,
)

RELATIVE = 1e-5
NEGLIGIBLE = 1e-12


@pytest.mark.parametrize("seed", range(200))
def test_count_tails_match_the_negative_binomial(seed: int) -> None:
    chance = random.Random(seed)
    mean = 10 ** chance.uniform(-2, 5)
    variance = mean * (1 + 10 ** chance.uniform(-3, 3))
    count = max(0, round(mean + chance.gauss(0, 5) * variance**0.5))
    size = mean**2 / (variance - mean)
    expected = stats.nbinom(size, size / (size + mean))
    at_most, at_least = count_tails(count, mean, variance)
    assert at_most == pytest.approx(expected.cdf(count), rel=RELATIVE, abs=1e-250)
    assert at_least == pytest.approx(expected.sf(count - 1), rel=RELATIVE, abs=1e-250)


@pytest.mark.parametrize("seed", range(100))
def test_count_tails_without_overdispersion_match_the_poisson(seed: int) -> None:
    chance = random.Random(seed)
    mean = 10 ** chance.uniform(-2, 5)
    count = max(0, round(mean + chance.gauss(0, 5) * mean**0.5))
    for variance in (mean, mean / 2, mean * (1 + 1e-15)):
        at_most, at_least = count_tails(count, mean, variance)
        assert at_most == pytest.approx(stats.poisson.cdf(count, mean), rel=RELATIVE, abs=1e-250)
        assert at_least == pytest.approx(stats.poisson.sf(count - 1, mean), rel=RELATIVE, abs=1e-250)


@pytest.mark.parametrize("seed", range(200))
def test_failures_tail_matches_the_beta_binomial(seed: int) -> None:
    chance = random.Random(seed)
    requests = round(10 ** chance.uniform(0, 3.5))
    a = 10 ** chance.uniform(-1, 2.5)
    b = a * 10 ** chance.uniform(-1, 2)
    failed = min(requests, round(requests * a / (a + b) * chance.uniform(0, 4)))
    expected = np.sum(stats.betabinom.pmf(range(failed, requests + 1), requests, a, b))
    assert failures_tail(failed, requests, a, b) == pytest.approx(expected, rel=RELATIVE, abs=NEGLIGIBLE)


@pytest.mark.parametrize(("failed", "requests", "a", "b"), [(60_000, 10**6, 50, 950), (1_500_000, 14 * 10**6, 5, 95)])
def test_failures_tail_of_millions_is_close_to_the_beta_binomial(
    failed: int, requests: int, a: float, b: float
) -> None:
    assert failures_tail(failed, requests, a, b) == pytest.approx(
        stats.betabinom.sf(failed - 1, requests, a, b), rel=1e-3
    )


def test_failures_tail_with_a_known_rate_matches_the_binomial() -> None:
    tail = failures_tail(12, 100, 5e7, 95e7)
    assert tail == pytest.approx(stats.binomtest(12, 100, 0.05, alternative="greater").pvalue, rel=1e-4)


@pytest.mark.parametrize("seed", range(100))
def test_incomplete_beta_and_gamma_functions_match(seed: int) -> None:
    chance = random.Random(seed)
    a, b, x = 10 ** chance.uniform(-2, 4), 10 ** chance.uniform(-2, 4), chance.random()
    assert beta_cdf(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), rel=RELATIVE, abs=NEGLIGIBLE)
    y = a * chance.uniform(0.5, 2)
    lower, upper = gamma_tails(y, a)
    assert lower == pytest.approx(stats.gamma.cdf(y, a), rel=RELATIVE, abs=NEGLIGIBLE)
    assert upper == pytest.approx(stats.gamma.sf(y, a), rel=RELATIVE, abs=NEGLIGIBLE)


@pytest.mark.parametrize("z", [-8, -1, 0, 0.5, 3, 9])
def test_normal_tail_matches(z: float) -> None:
    assert normal_tail(z) == pytest.approx(stats.norm.sf(z))


def test_tails_at_the_bounds_are_0_or_1() -> None:
    assert count_tails(0, 3.0, 5.0)[1] == 1
    assert failures_tail(0, 5, 1, 9) == 1
    assert failures_tail(6, 5, 1, 9) == 0
    assert (beta_cdf(0, 1, 1), beta_cdf(1, 1, 1)) == (0, 1)


def test_count_tails_are_accurate_for_100_million_requests() -> None:
    mean = 1e8 / 7
    at_most, at_least = count_tails(round(1.02 * mean), mean, mean + 1e-4 * mean**2)
    assert at_least == pytest.approx(stats.norm.sf(2), rel=0.05)
    assert at_most + at_least == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("answer", [0, 1, 2, 17, 1000])
def test_smallest_returns_the_smallest_count_that_passes(answer: int) -> None:
    assert smallest(lambda count: count >= answer) == answer
