"""A backend for tests: takes OTLP by HTTP or gRPC and keeps the spans and log bodies."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")


@dataclass(frozen=True)
class Event:
    name: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as the backend sees it; ids in hex, ``parent_id`` empty for a root."""

    service: str
    name: str
    kind: str
    status: str
    description: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    events: tuple[Event, ...]
    links: tuple[tuple[str, str], ...]

    @property
    def duration_s(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


@dataclass
class OtlpSink:
    """What arrived so far, and where to send it."""

    endpoint: str
    spans: list[ReceivedSpan] = field(default_factory=list)
    logs: list[tuple[str, str]] = field(default_factory=list)
    metrics: set[tuple[str, str]] = field(default_factory=set)

    def trace(self, trace_id: str) -> list[ReceivedSpan]:
        return [span for span in self.spans if span.trace_id == trace_id]

    def take(self, request: Message) -> None:
        if isinstance(request, ExportTraceServiceRequest):
            self.spans.extend(_spans(request))
        elif isinstance(request, ExportLogsServiceRequest):
            for group in request.resource_logs:
                service = _plain(group.resource.attributes)["service.name"]
                for scope in group.scope_logs:
                    self.logs += [
                        (service, record.body.string_value) for record in scope.log_records
                    ]
        elif isinstance(request, ExportMetricsServiceRequest):
            for measured in request.resource_metrics:
                service = _plain(measured.resource.attributes)["service.name"]
                for scoped in measured.scope_metrics:
                    self.metrics |= {(service, metric.name) for metric in scoped.metrics}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def _plain(attributes: Any) -> dict[str, Any]:
    pairs: list[KeyValue] = list(attributes)
    return {pair.key: _value(pair.value) for pair in pairs}


def _spans(request: ExportTraceServiceRequest) -> list[ReceivedSpan]:
    return [
        ReceivedSpan(
            service=_plain(group.resource.attributes)["service.name"],
            name=span.name,
            kind=KINDS[span.kind],
            status=STATUSES[span.status.code],
            description=span.status.message,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            start_ns=span.start_time_unix_nano,
            end_ns=span.end_time_unix_nano,
            attributes=_plain(span.attributes),
            events=tuple(Event(event.name, _plain(event.attributes)) for event in span.events),
            links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


_BY_PATH: dict[str, type[Message]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


class HttpSink:
    """``with HttpSink(port) as sink:`` listens while the block runs."""

    def __init__(self, port: int) -> None:
        self._port = port

    def __enter__(self) -> OtlpSink:
        sink = OtlpSink(f"http://127.0.0.1:{self._port}")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.take(_BY_PATH[self.path].FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()
        return sink

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class GrpcSink:
    """The same by gRPC; ``sink`` may be one that keeps less."""

    _METHODS = (
        ("trace.v1.TraceService", ExportTraceServiceRequest, ExportTraceServiceResponse),
        ("logs.v1.LogsService", ExportLogsServiceRequest, ExportLogsServiceResponse),
        ("metrics.v1.MetricsService", ExportMetricsServiceRequest, ExportMetricsServiceResponse),
    )

    def __init__(self, port: int, sink: OtlpSink | None = None) -> None:
        self._port = port
        self._sink = sink or OtlpSink(f"http://127.0.0.1:{port}")

    def __enter__(self) -> OtlpSink:
        sink = self._sink
        self._server = grpc.server(ThreadPoolExecutor(2))
        for name, request, response in self._METHODS:
            self._server.add_generic_rpc_handlers(
                (
                    grpc.method_handlers_generic_handler(
                        f"opentelemetry.proto.collector.{name}",
                        {"Export": _unary(sink, request, response)},
                    ),
                )
            )
        self._server.add_insecure_port(f"127.0.0.1:{self._port}")
        self._server.start()
        return sink

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=0.5).wait()


def _unary(sink: OtlpSink, request: type[Message], response: type[Message]) -> Any:
    def export(received: Message, _: object) -> Message:
        sink.take(received)
        return response()

    return grpc.unary_unary_rpc_method_handler(
        export,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )
