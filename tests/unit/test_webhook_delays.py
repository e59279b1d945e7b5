"""Tests of the delay that a receiver asks for with a Retry-After header."""

from datetime import UTC, datetime, timedelta

import pytest

from imagegen.domain.webhooks import RETRY_AFTER_MAX, retry_after

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("Wed, 18 Nov 2026 12:02:00 GMT", 120),
        ("Wednesday, 18-Nov-26 12:02:00 GMT", 120),
        ("Wed Nov 18 12:02:00 2026", 120),
        ("Wed, 18 Nov 2026 13:02:00 +0100", 120),
        ("Wed, 18 Nov 2026 11:00:00 GMT", 0),  # in the past
    ],
)
def test_seconds_and_dates_are_read(header: str, seconds: int) -> None:
    for status in (429, 503):
        assert retry_after(status, header, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "header",
    ["1" * 5_000, "999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2359"],
)
def test_long_delay_is_capped(header: str) -> None:
    assert retry_after(429, header, NOW) == RETRY_AFTER_MAX


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "-1",
        "1.5",
        "1e3",
        "soon",
        "\u0661\u0662",
        "Wed, 99 Nov 2026 12:02:00 GMT",
        "18 Nov 99999999 12:00:00 GMT",
        "x" * 60_000,
    ],
)
def test_header_that_is_not_valid_is_ignored(header: str | None) -> None:
    assert retry_after(503, header, NOW) == timedelta()


@pytest.mark.parametrize("status", [200, 301, 408, 500, 502, 504])
def test_header_of_another_status_is_ignored(status: int) -> None:
    assert retry_after(status, "120", NOW) == timedelta()
