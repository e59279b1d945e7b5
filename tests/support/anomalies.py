"""Weeks of counts for the anomaly detector, and helpers that run it."""

import random
from collections.abc import Sequence
from datetime import date

from imagegen.domain.weeks import Week
from imagegen.reports.anomalies import (
    WEEKS_COMPARED,
    AnomalyKind,
    Counts,
    Findings,
    Scope,
    Subject,
    find,
)

WEEK = Week(date(2026, 11, 9))


STYLE = Subject(Scope.STYLE, "anime")


MODEL = Subject(Scope.MODEL, "Model B")


RHYTHM = (1.1, 1.1, 1.0, 1.0, 1.2, 0.9, 0.7)


PRICE = 2


def week(requests: Sequence[float], failed: Sequence[int] = (0,) * 7) -> list[Counts]:
    return [
        Counts(round(count), of_them, PRICE * round(count)) for count, of_them in zip(requests, failed, strict=True)
    ]


def noisy(chance: random.Random, mean: float, dispersion: float = 0.02) -> int:
    """Return a random negative-binomial count: approximately a Poisson count whose rate is random."""
    rate = chance.gammavariate(1 / dispersion, mean * dispersion)
    return sum(chance.random() < rate / (8 * mean) for _ in range(round(8 * mean)))


def weeks(seed: int, mean: float, number: int = WEEKS_COMPARED + 1, growth: float = 0.0) -> list[list[float]]:
    chance = random.Random(seed)
    return [[noisy(chance, mean * day * (1 + growth) ** number) for day in RHYTHM] for number in range(number)]


def search(subject: Subject, *counted: list[Counts]) -> Findings:
    """Return the findings in the last week, compared with the weeks before."""
    return find(WEEK, {subject: counted[-1]}, {subject: counted[:-1]})


def kinds(findings: Findings) -> list[tuple[AnomalyKind, str | None]]:
    return [(anomaly.kind, anomaly.day) for anomaly in findings.anomalies]
