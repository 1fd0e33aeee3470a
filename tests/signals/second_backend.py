"""A store of traces beside Tempo, as light as can be: it remembers which spans came."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.message import Message  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.services.otlp_sink import OtlpSink


@dataclass
class SpanIds(OtlpSink):
    """Takes OTLP and keeps ids alone, twice where a span came twice."""

    ids: list[tuple[bytes, bytes]] = field(default_factory=list)

    def take(self, request: Message) -> None:
        """Keep the ids of every span of ``request``."""
        assert isinstance(request, ExportTraceServiceRequest), "only traces are fanned out"
        self.ids += [
            (span.trace_id, span.span_id)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
