"""Root spans: each request of an actor is a CLIENT span of service ``storefront``.

Made by hand and with a provider of its own: Locust's own instrumentation names the
service ``locust``, adds file and host to its resource, and would have every learner
find the load generator first.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from opentelemetry import baggage, propagate
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from lab.load.actors import Call

SERVICE_NAME = "storefront"
PEER_NAME = "gateway"
QUEUE_SPANS = 16_384
BATCH_SPANS = 256
DELAY_MS = 200
EXPORT_TIMEOUT_S = 5.0


def otlp_exporter(endpoint: str, protocol: str) -> SpanExporter:
    """An exporter to the Collector's base ``endpoint``; ``protocol`` as in the OTLP standard."""
    if protocol == "grpc":
        from grpc.experimental import gevent as grpc_gevent  # type: ignore[import-untyped]
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
            OTLPSpanExporter as GrpcSpanExporter,
        )

        # gRPC waits in C, where gevent cannot switch: without this every export
        # would stop all actors until the Collector has answered.
        grpc_gevent.init_gevent()
        return GrpcSpanExporter(endpoint, insecure=True, timeout=EXPORT_TIMEOUT_S)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_TIMEOUT_S)


class _Counting(SpanExporter):
    """Counts the spans the Collector has taken."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.delivered = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.delivered += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class RootSpans:
    """Begins and ends the root span of each request, and counts them."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = _Counting(exporter)
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            # Built bare: Resource.create() would add what detectors find of this process.
            resource=Resource({"service.name": SERVICE_NAME}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=QUEUE_SPANS,
                max_export_batch_size=BATCH_SPANS,
                schedule_delay_millis=DELAY_MS,
            )
        )
        self._tracer = self._provider.get_tracer(SERVICE_NAME)
        self.ended = 0

    @property
    def failed(self) -> int:
        """Spans ended and not delivered; final only after `flush`."""
        return self.ended - self._exporter.delivered

    def begin(self, call: Call, url: str, tenant: str) -> tuple[Span, dict[str, str]]:
        """Start a trace for ``call``; returns its root and the headers that carry it on."""
        address = urlsplit(url)
        span = self._tracer.start_span(
            call.route,
            context=Context(),
            kind=SpanKind.CLIENT,
            attributes={
                "http.request.method": call.method,
                "url.full": url,
                "url.template": call.template,
                "server.address": address.hostname or "",
                "server.port": address.port or 80,
                "service.peer.name": PEER_NAME,
            },
        )
        context = set_span_in_context(span, Context())
        if tenant:
            span.set_attribute("tenant_id", tenant)
            context = baggage.set_baggage("tenant_id", tenant, context)
        headers: dict[str, str] = {}
        # In the formats that OTEL_PROPAGATORS names, as the shop reads them.
        propagate.inject(headers, context)
        return span, headers

    def end(self, span: Span, status: int, error_type: str | None) -> None:
        """End a root; ``error_type`` names why no answer came where ``status`` is 0.

        An answer of 400 or above is an error of a CLIENT span, unlike of a SERVER's:
        https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status
        """
        if status:
            span.set_attribute("http.response.status_code", status)
        if status >= 400 or status == 0:
            span.set_attribute("error.type", str(status) if status else error_type or "_OTHER")
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        self.ended += 1

    def flush(self) -> None:
        """Hand over every ended span; waits for the Collector, at most a timeout a batch."""
        self._provider.force_flush()
