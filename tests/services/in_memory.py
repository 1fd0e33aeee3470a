"""Spans of this very process, kept in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lab.shop.keeper.environment import OTEL
from lab.shop.telemetry import ClientSpanAttributes

_exporter = InMemorySpanExporter()


@contextmanager
def recorded() -> Iterator[InMemorySpanExporter]:
    """What a service's telemetry does with libraries, with an exporter that can be read.

    The providers of a process can be set once only, so they stay.
    """
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = OTEL["OTEL_SEMCONV_STABILITY_OPT_IN"]
        provider = TracerProvider()
        provider.add_span_processor(ClientSpanAttributes())
        provider.add_span_processor(SimpleSpanProcessor(_exporter))
        trace.set_tracer_provider(provider)
    databases: Any = AsyncPGInstrumentor  # it has no types
    databases().instrument()
    HTTPXClientInstrumentor().instrument()
    _exporter.clear()
    try:
        yield _exporter
    finally:
        databases().uninstrument()
        HTTPXClientInstrumentor().uninstrument()


def story(exporter: InMemorySpanExporter) -> list[tuple[str, str, str]]:
    """Name, status and exceptions or other events of every span, in the order of their ends."""
    return [
        (span.name, span.status.status_code.name, ",".join(map(str, _events(span))))
        for span in exporter.get_finished_spans()
    ]


def _events(span: ReadableSpan) -> list[object]:
    return [(event.attributes or {}).get("exception.type", event.name) for event in span.events]


def duration_s(exporter: InMemorySpanExporter, name: str) -> float:
    """How long the first span of that name took."""
    span = next(span for span in exporter.get_finished_spans() if span.name == name)
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9
