"""Traces as an enemy would send them."""

from __future__ import annotations

from hypothesis import strategies as st

from lab.domain.trace import Event, Kind, Span, Status, Trace

ids = st.sampled_from([f"{number:016x}" for number in range(6)])


@st.composite
def hostile_spans(draw: st.DrawFn) -> Span:
    """A span with any parent (itself too), any clock, and an id that others may have."""
    return Span(
        trace_id="t",
        span_id=draw(ids),
        parent_id=draw(st.none() | ids | st.just("f" * 16)),
        name="SELECT",
        kind=draw(st.sampled_from(Kind)),
        service=draw(st.sampled_from(["auth", "gateway"])),
        start_ns=draw(st.integers(0, 1000)),
        end_ns=draw(st.integers(0, 1000)),
        status=draw(st.sampled_from(Status)),
        events=draw(st.just(()) | st.just((Event("exception", 0, {"exception.type": "Timeout"}),))),
    )


hostile_traces = st.lists(hostile_spans(), max_size=12).map(lambda spans: Trace("t", tuple(spans)))
