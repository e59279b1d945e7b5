"""Tail probabilities of the distributions that the tests use, to about ten digits, with the standard library only.

The incomplete beta and gamma functions are computed from continued fractions and series (NIST Digital Library of
Mathematical Functions, 8.17.22, 8.11.4 and 8.9.2) by Lentz's method. The number of terms grows with the square root of
the arguments.
"""

from collections.abc import Callable
from math import erfc, exp, inf, lgamma, log, log1p, sqrt

_TERMS_MAX = 1_000_000
_PRECISION = 1e-15
_TINY = 1e-300
_POISSON_FROM = 1e9
"""From this size, a negative binomial is computed as a Poisson, because lgamma would lose too many digits."""
_SMOOTH_FROM = 1e6
"""From this variance, and a tenth as many requests, a beta-binomial has too many terms. A beta approximates it."""


def normal_tail(z: float) -> float:
    """Return P(Z >= z) for a standard normal Z."""
    return erfc(z / sqrt(2)) / 2


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return P(X <= x) for X from Beta(a, b): the regularized incomplete beta function I_x(a, b)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b))
    if x < (a + 1) / (a + b + 2):
        return min(1.0, front * _beta_fraction(x, a, b) / a)
    return max(0.0, 1 - front * _beta_fraction(1 - x, b, a) / b)


def _beta_fraction(x: float, a: float, b: float) -> float:
    value = d = 1 / _nonzero(1 - (a + b) * x / (a + 1))
    c = 1.0
    for m in range(1, _TERMS_MAX):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value


def gamma_tails(x: float, a: float) -> tuple[float, float]:
    """Return (P(X <= x), P(X >= x)) for X from Gamma(a) with scale 1, ``x`` > 0."""
    front = exp(a * log(x) - x - lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        for n in range(1, _TERMS_MAX):
            term *= x / (a + n)
            total += term
            if term < total * _PRECISION:
                break
        lower = min(1.0, front * total)
        return lower, 1 - lower
    b = x + 1 - a
    c = 1 / _TINY
    value = d = 1 / b
    for n in range(1, _TERMS_MAX):
        term = -n * (n - a)
        b += 2
        d = 1 / _nonzero(term * d + b)
        c = _nonzero(b + term / c)
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    upper = min(1.0, front * value)
    return 1 - upper, upper


def count_tails(count: int, mean: float, variance: float) -> tuple[float, float]:
    """Return (P(Y <= count), P(Y >= count)) for a negative binomial Y, or a Poisson Y if the variance is <= the mean.

    The size of Y is mean^2 / (variance - mean). The tails are incomplete beta and gamma functions (DLMF 8.17.24,
    8.4.10).
    """
    size = mean * mean / (variance - mean) if variance > mean else inf
    if size > _POISSON_FROM:
        at_most = gamma_tails(mean, count + 1)[1]
        return at_most, gamma_tails(mean, count)[0] if count else 1.0
    chance = size / (size + mean)
    at_most = beta_cdf(chance, size, count + 1)
    return at_most, beta_cdf(1 - chance, count, size) if count else 1.0


def failures_tail(failed: int, requests: int, a: float, b: float) -> float:
    """Return P(X >= failed) for a beta-binomial X of ``requests`` trials with a failure rate from Beta(a, b).

    Sums the terms. If there are too many, uses the beta distribution with the same mean and variance.
    """
    if failed <= 0:
        return 1.0
    if failed > requests:
        return 0.0
    mean = requests * a / (a + b)
    variance = mean * b / (a + b) * (a + b + requests) / (a + b + 1)
    if variance > _SMOOTH_FROM and requests > _SMOOTH_FROM / 10:
        precision = mean * (requests - mean) / variance - 1
        share = mean / requests
        return 1 - beta_cdf((failed - 0.5) / requests, share * precision, (1 - share) * precision)
    if failed <= mean:
        return max(0.0, 1 - _terms(failed - 1, requests, a, b, -1))
    return min(1.0, _terms(failed, requests, a, b, +1))


def _terms(failed: int, requests: int, a: float, b: float, step: int) -> float:
    """Return the sum of the beta-binomial's probabilities from ``failed`` on, upwards or downwards."""
    rest = requests - failed
    term = exp(
        lgamma(requests + 1) - lgamma(failed + 1) - lgamma(rest + 1)
        + lgamma(failed + a) + lgamma(rest + b) - lgamma(requests + a + b)
        + lgamma(a + b) - lgamma(a) - lgamma(b)
    )  # fmt: skip
    total = 0.0
    while term > total * _PRECISION:
        total += term
        if step > 0:
            term *= (requests - failed) * (failed + a) / ((failed + 1) * (requests - failed - 1 + b))
        else:
            term *= failed * (requests - failed + b) / ((requests - failed + 1) * (failed - 1 + a)) if failed else 0.0
        failed += step
    return total


def smallest(passes: Callable[[int], bool]) -> int:
    """Return the smallest count >= 0 for which ``passes`` is true. It must be true for all larger counts too."""
    high = 1
    while not passes(high):
        high *= 2
    low = -1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
