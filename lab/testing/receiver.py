"""A small OTLP backend for services in other processes: HTTP and gRPC, on free ports."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Protocol

from lab.adapters.otlp.fields import MalformedOtlpError
from lab.adapters.otlp.traces import read_traces
from lab.domain.trace import Span
from lab.domain.wording import visible
from lab.errors import PreconditionError
from lab.testing.source import TraceSet

HOST: Final = "127.0.0.1"
_GRPC_METHOD: Final = "opentelemetry.proto.collector.trace.v1.TraceService"


class OtlpReceiver:
    """``with OtlpReceiver() as receiver:``, or the fixture ``otlp_receiver``.

    Give a service `environment`, or one of the endpoints; then expect of the receiver what its
    spans should be. ``refused`` says what could not be read. Metrics and logs are taken and
    dropped, for a service that sends them should not fail.
    """

    patience_s = 5.0
    poll_s = 0.05

    def __init__(self) -> None:
        self.refused: list[str] = []
        self._spans: dict[tuple[str, str], Span] = {}
        self._lock = threading.Lock()
        self._http: ThreadingHTTPServer | None = None
        self._grpc: Any = None
        self._grpc_port = 0

    def __enter__(self) -> OtlpReceiver:
        """Listen for OTLP/HTTP; gRPC begins when its endpoint is asked for."""
        self._http = ThreadingHTTPServer((HOST, 0), handler(self))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no longer; what came stays readable."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
        if self._grpc is not None:
            self._grpc.stop(grace=0.2).wait()

    @property
    def http_endpoint(self) -> str:
        """Where OTLP/HTTP is taken, as ``OTEL_EXPORTER_OTLP_ENDPOINT`` wants it."""
        assert self._http is not None
        return f"http://{HOST}:{self._http.server_address[1]}"

    @property
    def grpc_endpoint(self) -> str:
        """Where OTLP by gRPC is taken; PreconditionError where ``grpcio`` is not installed."""
        if self._grpc is None:
            self._serve_grpc()
        return f"http://{HOST}:{self._grpc_port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a service's process needs to send its spans here at once, by OTLP/HTTP."""
        return {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.http_endpoint,
            # A span is in a batch for so many ms; a test waits for it.
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }

    def look(self) -> TraceSet:
        """The spans that came so far; whole is a trace whose parents all came."""
        with self._lock:
            spans = tuple(self._spans.values())
        return TraceSet.of_spans(spans, may_grow=True)

    def clear(self) -> None:
        """Forget what came so far."""
        with self._lock:
            self._spans.clear()

    def save(self, path: Path | str) -> None:
        """Keep what came as OTLP/JSON, such as for a baseline (`from_file`)."""
        self.look().save(path)

    def take(self, document: object) -> None:
        """Keep the spans of one ``TracesData`` document; MalformedOtlpError if it is none."""
        traces = read_traces(document)
        with self._lock:
            for trace in traces.values():
                self._spans |= {(each.trace_id, each.span_id): each for each in trace.spans}

    def _serve_grpc(self) -> None:
        try:
            import grpc  # type: ignore[import-untyped]
            from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
        except ImportError as error:
            raise PreconditionError(
                "expected grpcio and opentelemetry-proto for OTLP by gRPC, found no "
                f"{error.name}; `pip install opentelemetry-exporter-otlp-proto-grpc` brings both, "
                "or have the service send OTLP/HTTP to http_endpoint"
            ) from error

        def export(request: Any, context: Any) -> Any:
            try:
                self.take(document(request))
            except MalformedOtlpError as problem:
                self.refused.append(str(problem))
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(problem))
            return messages.ExportTraceServiceResponse()

        handler = grpc.unary_unary_rpc_method_handler(
            export,
            request_deserializer=messages.ExportTraceServiceRequest.FromString,
            response_serializer=messages.ExportTraceServiceResponse.SerializeToString,
        )
        server = grpc.server(ThreadPoolExecutor(2))
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_GRPC_METHOD, {"Export": handler}),)
        )
        self._grpc_port = server.add_insecure_port(f"{HOST}:0")
        server.start()
        self._grpc = server


_PATH: Final = "/v1/traces"
_OTHER_SIGNALS: Final = frozenset({"/v1/metrics", "/v1/logs"})
_MOST_BYTES: Final = 64 * 2**20
"""Of one request, and of what it unpacks to."""

_MOST_REFUSED: Final = 1000
_HEADERS_OF: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""How content is packed → the header that zlib is to expect."""


class Taker(Protocol):
    """Whoever takes what comes, and hears what could not be read."""

    refused: list[str]

    def take(self, document: object) -> None:
        """Keep the spans of one ``TracesData`` document; ValueError if it is none."""


def handler(receiver: Taker) -> type[BaseHTTPRequestHandler]:
    """The class of requests that hands to ``receiver`` what they bring."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            path = self.path.partition("?")[0]
            length = self.headers.get("Content-Length") or "0"
            status, why = _refusal(self.headers.get("Origin"), length)
            if why:  # What is not read would be taken for the next request.
                self.close_connection = True
            else:
                body = self.rfile.read(int(length))
                status, why = self._taken(body) if path == _PATH else _beside(path)
            if why and len(receiver.refused) < _MOST_REFUSED:
                receiver.refused.append(visible(why))
            is_json = "json" in self.headers.get("Content-Type", "")
            answer = json.dumps({"message": why} if why else {}).encode() if is_json else b""
            self.send_response(status)
            self.send_header("Content-Type", self.headers.get("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _taken(self, body: bytes) -> tuple[int, str]:
            try:
                plain = _unpacked(body, self.headers.get("Content-Encoding", ""))
                if "json" in self.headers.get("Content-Type", ""):
                    receiver.take(json.loads(plain))
                else:
                    receiver.take(_from_protobuf(plain))
            except (ValueError, OSError, zlib.error, RecursionError) as error:
                return 400, f"expected OTLP, found: {error}"
            except PreconditionError as error:
                return 501, str(error)
            return 200, ""

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _refusal(origin: str | None, length: str) -> tuple[int, str]:
    """Status and reason of what is not even read; no reason where it is."""
    if origin:
        # Every page that is open on this machine could send spans otherwise.
        return 403, "expected a program that sends spans, got a page of a browser"
    is_number = length.isdecimal() and length.isascii() and len(length) < 20
    if not is_number or int(length) > _MOST_BYTES:
        return 413, f"expected at most {_MOST_BYTES} bytes, got {length[:20]}"
    return 200, ""


def _beside(path: str) -> tuple[int, str]:
    return (200, "") if path in _OTHER_SIGNALS else (404, f"expected {_PATH}, got {path}")


def _unpacked(body: bytes, packed: str) -> bytes:
    if packed in {"", "identity"}:
        return body
    if packed not in _HEADERS_OF:
        raise ValueError(f"content packed as {packed!r}; expected gzip, deflate or none")
    unpacking = zlib.decompressobj(_HEADERS_OF[packed])
    plain = unpacking.decompress(body, _MOST_BYTES)
    if not unpacking.eof:
        raise ValueError(f"content that is cut off, or unpacks to more than {_MOST_BYTES} bytes")
    return plain


def _from_protobuf(body: bytes) -> object:
    try:
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )
    except ImportError as error:
        raise PreconditionError(
            f"expected opentelemetry-proto to read protobuf, found no {error.name}; "
            "`pip install opentelemetry-exporter-otlp-proto-http` brings it, or have the service "
            "send http/json"
        ) from error
    try:
        return document(ExportTraceServiceRequest.FromString(body))
    except DecodeError as error:
        raise ValueError(str(error)) from error


def document(request: Any) -> object:
    """A protobuf message as the JSON that the reader of all OTLP takes."""
    from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]

    return MessageToDict(request)
