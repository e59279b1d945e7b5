"""Tails of the distributions that the tests need, to about ten digits, with the standard library alone.

The incomplete beta and gamma functions by their continued fractions and series: NIST Digital Library of Mathematical
Functions, 8.17.22 and 8.11.4, 8.9.2, evaluated by Lentz's method; the number of terms grows with the root of the
arguments.
"""

from collections.abc import Callable
from math import erfc, exp, inf, lgamma, log, log1p, sqrt

_TERMS_MAX = 1_000_000
_PRECISION = 1e-15
_TINY = 1e-300
_POISSON_FROM = 1e9
"""From this size on a negative binomial is a Poisson, and its lgamma would lose the digits."""
_SMOOTH_FROM = 1e6
"""From this variance on, with a tenth as many requests, a beta-binomial has many terms and is as smooth as a beta."""


def normal_tail(z: float) -> float:
    """P(Z >= z) for a standard normal Z."""
    return erfc(z / sqrt(2)) / 2


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(X <= x) for X from Beta(a, b), which is the regularised incomplete beta function I_x(a, b)."""
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
    """(P(X <= x), P(X >= x)) for X from Gamma(a) with scale 1, ``x`` > 0."""
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
    """(P(Y <= count), P(Y >= count)) for a negative binomial Y, or a Poisson one where the variance is not larger.

    Its size is mean^2 / (variance - mean). The tails are incomplete beta and gamma functions: DLMF 8.17.24, 8.4.10.
    """
    size = mean * mean / (variance - mean) if variance > mean else inf
    if size > _POISSON_FROM:
        at_most = gamma_tails(mean, count + 1)[1]
        return at_most, gamma_tails(mean, count)[0] if count else 1.0
    chance = size / (size + mean)
    at_most = beta_cdf(chance, size, count + 1)
    return at_most, beta_cdf(1 - chance, count, size) if count else 1.0


def failures_tail(failed: int, requests: int, a: float, b: float) -> float:
    """P(X >= failed) for a beta-binomial X of ``requests`` trials whose chance of failure is from Beta(a, b).

    The sum of its terms; where those are too many, the beta distribution with its mean and variance.
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
    """The sum of the beta-binomial's chances from ``failed`` on, up or down."""
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
    """The smallest count from 0 on for which ``passes``, which stays true from there on."""
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
