"""Attributes, counts and log lines that a service adds by itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

from lab.shop.telemetry import ClientSpanAttributes, SpanCounter, log_as_json, on_client_spans


def test_attributes_are_put_on_client_spans_inside_the_block_alone() -> None:
    """Inner blocks add to outer ones; other kinds and later spans stay as they are."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(ClientSpanAttributes())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with on_client_spans({"a": 1}):
        with on_client_spans({"b": 2}):
            tracer.start_span("inner", kind=SpanKind.CLIENT).end()
        tracer.start_span("outer", kind=SpanKind.CLIENT).end()
        tracer.start_span("internal").end()
    tracer.start_span("after", kind=SpanKind.CLIENT).end()
    attributes = {span.name: dict(span.attributes or {}) for span in exporter.get_finished_spans()}
    assert attributes == {"inner": {"a": 1, "b": 2}, "outer": {"a": 1}, "internal": {}, "after": {}}


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


@pytest.fixture
def json_logs(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Logging as a service sets it up, onto the captured stderr, taken back afterwards."""
    loggers = [logging.getLogger(name) for name in ("", "opentelemetry")]
    before = [(list(logger.handlers), logger.level, logger.propagate) for logger in loggers]
    log_as_json()
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


def test_a_log_line_is_json_with_the_ids_of_the_current_span(
    json_logs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line names its trace and span while there is one, and an exception with its stack."""
    span = TracerProvider().get_tracer("test").start_span("one")
    with trace.use_span(span):
        logging.getLogger("shop").info("hello %s", "ü")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger("shop").exception("oh")
    first, second = map(json.loads, capsys.readouterr().err.splitlines()[-2:])
    assert (first["message"], first["level"], first["logger"]) == ("hello ü", "info", "shop")
    assert first["trace_id"] == trace.format_trace_id(span.get_span_context().trace_id)
    assert first["span_id"] == trace.format_span_id(span.get_span_context().span_id)
    assert "trace_id" not in second
    assert "ZeroDivisionError" in second["exception"]
