"""Tests of the trace that the headers of a call name. Anyone can send these headers."""

import pytest

from imagegen.domain.trace import NO_SPAN, Trace, trace_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("traceparent", "cloud", "expected"),
    [
        (VALID, None, Trace(TRACE, SPAN, is_sampled=True)),
        (f"00-{TRACE}-{SPAN}-00", None, Trace(TRACE, SPAN)),
        (f"cc-{TRACE}-{SPAN}-03-later", None, Trace(TRACE, SPAN, is_sampled=True)),
        (None, f"{TRACE}/{int(SPAN, 16)};o=1", Trace(TRACE, SPAN, is_sampled=True)),
        (None, f"{TRACE.upper()}/1", Trace(TRACE, f"{1:016x}")),
        (None, f"{TRACE}/0;o=0", Trace(TRACE)),
        (None, TRACE, Trace(TRACE)),
        (VALID, f"{'1' * 32}/1;o=1", Trace(TRACE, SPAN, is_sampled=True)),
        ("invalid", f"{TRACE}/1", Trace(TRACE, f"{1:016x}")),
    ],
)
def test_trace_of_valid_headers(traceparent: str | None, cloud: str | None, expected: Trace) -> None:
    assert trace_of(traceparent, cloud) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"{VALID}-more",
        f"{VALID},{VALID}",
        f"{VALID}\n",
        f" {VALID}",
        f'00-{TRACE}-{SPAN}-01"}}',
        "٤" * 32,
        f"{TRACE}/٤",
        f"{'0' * 32}/1",
        f"{TRACE}/{'9' * 21}",
        f"{TRACE}/1;o=1;x=grace@example.com",
        "a" * 100_000,
    ],
)
def test_invalid_headers_name_no_trace(header: str) -> None:
    assert trace_of(header) is None
    assert trace_of(None, header) is None


def test_header_continues_the_trace() -> None:
    assert trace_of(Trace(TRACE, SPAN, is_sampled=True).traceparent) == Trace(TRACE, SPAN, is_sampled=True)
    assert trace_of(Trace(TRACE).traceparent) == Trace(TRACE, NO_SPAN)
