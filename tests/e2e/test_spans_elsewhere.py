"""Spans that a test looks for in a real Tempo, on their way through a real Collector."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from lab.testing import expect, from_tempo, match_tree, span
from tests.support.lab_under_test import LabUnderTest

pytestmark = pytest.mark.e2e


def test_spans_are_found_by_their_trace_and_by_traceql(lab: LabUnderTest) -> None:
    """Waited for until they are there, and whole."""
    settings = lab.settings
    provider = TracerProvider(resource=Resource({"service.name": "somebody"}))
    exporter = OTLPSpanExporter(f"{settings.url('otelcol_otlp_http')}/v1/traces")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("somebody")
    with tracer.start_as_current_span("POST /pay") as root, tracer.start_as_current_span("charge"):
        pass
    trace_id = f"{root.get_span_context().trace_id:032x}"
    tempo = settings.url("tempo_http")
    match_tree(from_tempo(tempo, trace_id=trace_id), "POST /pay\n    charge")
    by_query = from_tempo(tempo, query='{ resource.service.name = "somebody" }')
    expect(by_query).to_have(span("charge").child_of(span("POST /pay")), count=1)
