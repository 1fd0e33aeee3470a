"""Attributes, counts and log lines that a service adds by itself."""

from __future__ import annotations

import json
import subprocess
import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

from lab.shop.telemetry import ClientSpanAttributes, SpanCounter, on_client_spans
from lab.testing import RecordedSpans, expect, span


def test_attributes_are_put_on_client_spans_inside_the_block_alone() -> None:
    """Inner blocks add to outer ones; other kinds and later spans stay as they are."""
    provider = TracerProvider()
    provider.add_span_processor(ClientSpanAttributes())
    with RecordedSpans(provider) as spans:
        tracer = spans.tracer()
        with on_client_spans({"a": 1}):
            with on_client_spans({"b": 2}):
                tracer.start_span("inner", kind=SpanKind.CLIENT).end()
            tracer.start_span("outer", kind=SpanKind.CLIENT).end()
            tracer.start_span("internal").end()
        tracer.start_span("after", kind=SpanKind.CLIENT).end()
    expect(spans).to_have(span("inner", attributes={"a": 1, "b": 2}))
    expect(spans).to_have(span("outer", attributes={"a": 1}, no_attributes="b"))
    for name in ("internal", "after"):
        expect(spans).to_have(span(name, no_attributes=["a", "b"]))


def test_ended_spans_are_counted_on_from_what_the_slot_holds() -> None:
    """A second process that is given the same memory goes on counting."""
    memory = bytearray(8)
    for expected in (1, 2):
        counter = SpanCounter(memoryview(memory))
        provider = TracerProvider()
        provider.add_span_processor(counter)
        provider.get_tracer("test").start_span("one").end()
        assert counter.count == expected


def test_spans_that_are_not_sampled_are_not_counted() -> None:
    """What is never exported cannot be lost."""
    counter = SpanCounter(memoryview(bytearray(8)))
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(counter)
    provider.get_tracer("test").start_span("one").end()
    assert counter.count == 0


WRITES_LOGS = """
import logging
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from lab.shop.telemetry import log_as_json

log_as_json()
with TracerProvider().get_tracer("test").start_as_current_span("one") as span:
    logging.getLogger("shop").info("hello %s", "\u00fc")
try:
    raise ZeroDivisionError
except ZeroDivisionError:
    logging.getLogger("shop").exception("oh")
print(trace.format_trace_id(span.get_span_context().trace_id))
"""


def test_a_log_line_is_json_with_the_ids_of_the_current_span() -> None:
    """A line names its trace and span while there is one, and an exception with its stack."""
    # In a process of its own: a service sets logging up for good, and so does pytest.
    command = [sys.executable, "-c", WRITES_LOGS]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    first, second = map(json.loads, done.stderr.splitlines())
    assert (first["message"], first["level"], first["logger"]) == ("hello ü", "info", "shop")
    assert first["trace_id"] == done.stdout.strip()
    assert len(first["span_id"]) == 16
    assert "trace_id" not in second
    assert "ZeroDivisionError" in second["exception"]
