"""Spans of this very process, recorded as `lab.testing` records anybody's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from lab.domain.trace import Span
from lab.shop.keeper.environment import OTEL
from lab.shop.telemetry import ClientSpanAttributes
from lab.testing import RecordedSpans


@contextmanager
def recorded() -> Iterator[RecordedSpans]:
    """What a service's telemetry does with libraries, kept where it can be read.

    The providers of a process can be set once only, so they stay.
    """
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = OTEL["OTEL_SEMCONV_STABILITY_OPT_IN"]
        provider = TracerProvider()
        provider.add_span_processor(ClientSpanAttributes())
        trace.set_tracer_provider(provider)
    databases: Any = AsyncPGInstrumentor  # it has no types
    databases().instrument()
    HTTPXClientInstrumentor().instrument()
    try:
        with RecordedSpans() as spans:
            yield spans
    finally:
        databases().uninstrument()
        HTTPXClientInstrumentor().uninstrument()


def in_order_of_ends(spans: RecordedSpans) -> list[Span]:
    """Every span, the first that ended first."""
    return sorted(spans.look(), key=lambda span: span.end_ns)


def story(spans: RecordedSpans) -> list[tuple[str, str, str]]:
    """Name, status and exceptions or other events of every span, in the order of their ends."""
    return [
        (span.name, span.status.name, ",".join(map(str, _events(span))))
        for span in in_order_of_ends(spans)
    ]


def _events(span: Span) -> list[object]:
    return [event.attributes.get("exception.type", event.name) for event in span.events]
