"""The trace that a call belongs to, as the headers ``traceparent`` and ``X-Cloud-Trace-Context`` name it."""

import re

from imagegen.dataclass import dataclass

SPAN_MAX = 2**64 - 1
NO_SPAN = f"{1:016x}"
"""The span of an outgoing header if the incoming header named none. A header must name one."""

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_CLOUD = re.compile(r"(?!0{32})([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]{1,3}))?", re.ASCII)


@dataclass(frozen=True)
class Trace:
    """A trace and the span of the caller, in hex. ``is_sampled`` is True if the caller records the trace."""

    trace_id: str
    span_id: str | None = None
    is_sampled: bool = False

    @property
    def traceparent(self) -> str:
        """The header that continues the trace."""
        return f"00-{self.trace_id}-{self.span_id or NO_SPAN}-{self.is_sampled:02x}"


def trace_of(traceparent: str | None, cloud: str | None = None) -> Trace | None:
    """Return the trace that the two headers name, or None if neither is valid. ``traceparent`` goes first.

    Anyone can send these headers. The returned texts are hex digits of a fixed length.
    The formats: https://www.w3.org/TR/trace-context/ and https://cloud.google.com/trace/docs/trace-context
    """
    if traceparent and (found := _TRACEPARENT.fullmatch(traceparent)):
        version, trace_id, span_id, flags, more = found.groups()
        if version != "00" or more is None:  # only a later version has more parts
            return Trace(trace_id, span_id, is_sampled=bool(int(flags, 16) & 1))
    if cloud and (found := _CLOUD.fullmatch(cloud)):
        trace_id, span, options = found.groups()
        number = int(span or 0)
        span_id = f"{number:016x}" if 0 < number <= SPAN_MAX else None
        return Trace(trace_id.lower(), span_id, is_sampled=bool(int(options or 0) & 1))
    return None
