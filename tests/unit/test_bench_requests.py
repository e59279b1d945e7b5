"""Tests of the table of the requests' benchmark."""

from tools.bench.requests import BARE, OURS, SYNC, Load, Measured, first_answers, rows


def measured(cpu_ms: float, first_answer_seconds: float) -> Measured:
    return Measured({SYNC: Load(cpu_ms, per_second=100.0, answer_ms=50.0)}, first_answer_seconds)


FOUND = {
    BARE: [measured(4.0, 1.0), measured(5.0, 1.0), measured(6.0, 2.0)],
    OURS: [measured(6.0, 1.1), measured(5.0, 1.2), measured(5.4, 3.0)],
}


def test_ratio_is_of_each_pair() -> None:
    cpu, *_ = rows(FOUND, [SYNC])
    assert cpu == ("mode sync: worker CPU per call", "5.0 ms", "5.4 ms", "1.00 (0.90 to 1.50)")
    assert first_answers(FOUND) == ("first answer of a cold process", "1.00 s", "1.20 s", "1.20 (1.10 to 1.50)")
