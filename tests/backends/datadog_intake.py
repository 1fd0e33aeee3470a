"""An intake of Datadog's that the test owns: takes what the exporter sends, and decodes traces."""

from __future__ import annotations

import gzip
import json
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from grpc_tools import protoc  # type: ignore[import-untyped]

from lab.shop.topology import HOST

PROTOCOL = Path(__file__).parent / "protocol"
TRACES = "/api/v0.2/traces"
ANSWERS = {"/api/v1/validate": {"valid": True}, TRACES: {"rate_by_service": {}}}
"""What the exporter reads of an answer; of all others it looks at the status alone."""


@dataclass(frozen=True)
class Asked:
    """One request; ``body`` is unpacked where it came as gzip or deflate."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class DatadogSpan:
    """A span as Datadog has it; ids are numbers there, of a trace's the lower half."""

    service: str
    name: str
    resource: str
    trace_id: int
    span_id: int
    parent_id: int
    start_ns: int
    duration_ns: int
    error: int
    kind: str
    meta: dict[str, str]


@dataclass
class Intake:
    """Where it listens, and all that it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def spans(self) -> list[DatadogSpan]:
        """Every span so far, in the order of its coming."""
        return [
            DatadogSpan(
                *(span.service, span.name, span.resource),
                *(span.traceID, span.spanID, span.parentID),
                *(span.start, span.duration, span.error, span.type),
                meta=dict(span.meta),
            )
            for asked in list(self.asked)
            if asked.path == TRACES
            for payload in _decoded(asked.body).tracerPayloads
            for chunk in payload.chunks
            for span in chunk.spans
        ]


@contextmanager
def intake() -> Iterator[Intake]:
    """An intake on a free port of loopback, for as long as the context lasts."""
    kept = Intake("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self._body()
            headers = {name.lower(): text for name, text in self.headers.items()}
            kept.asked.append(Asked(self.command, self.path, headers, body))
            answer = json.dumps(ANSWERS.get(self.path, {})).encode()
            self.send_response(200 if self.path in ANSWERS else 202)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815 -- http.server's name

        def _body(self) -> bytes:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            packed = self.headers["Content-Encoding"]
            if packed == "gzip":
                return gzip.decompress(body)
            return zlib.decompress(body) if packed == "deflate" else body

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        kept.url = f"http://{HOST}:{server.server_port}"
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield kept
        server.shutdown()


def _decoded(body: bytes) -> Any:
    """The ``AgentPayload`` in ``body``; a field that the published protocol lacks is an error."""
    payload = _agent_payload().FromString(body)
    assert not payload.idxTracerPayloads, "expected the spans where Datadog's intake has them today"
    return payload


@cache
def _agent_payload() -> Any:
    """The class of the payload, made of the published protocol."""
    with tempfile.NamedTemporaryFile() as compiled:
        options = [f"-I{PROTOCOL}", "--include_imports", f"--descriptor_set_out={compiled.name}"]
        assert protoc.main(["protoc", *options, "datadog/trace/agent_payload.proto"]) == 0
        files = descriptor_pb2.FileDescriptorSet.FromString(Path(compiled.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("datadog.trace.AgentPayload"))
