"""Services in other processes send OTLP by HTTP or gRPC, packed or not, as protobuf or JSON."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from lab.adapters.otlp.traces import trace_to_otlp
from lab.errors import PreconditionError
from lab.testing import OtlpReceiver, expect, span
from tests.support.traces import internal, server, trace

SERVICE = """
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.{protocol}.trace_exporter import OTLPSpanExporter

provider = TracerProvider(resource=Resource({{"service.name": "pay"}}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("pay")
with tracer.start_as_current_span("POST /pay", kind=trace.SpanKind.SERVER) as root:
    links, attributes = [trace.Link(root.get_span_context())], {{"n": 3, "l": ["a"]}}
    try:
        with tracer.start_as_current_span("charge", links=links, attributes=attributes):
            raise ValueError("declined")
    except ValueError:
        pass
provider.shutdown()
"""


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.mark.parametrize(
    ("protocol", "packed"), [("http", "gzip"), ("http", "none"), ("grpc", "gzip")]
)
def test_a_service_in_a_process_of_its_own_is_received(
    receiver: OtlpReceiver, protocol: str, packed: str
) -> None:
    """With all that its spans say: service, kind, status, exception, link, typed attributes."""
    endpoint = receiver.http_endpoint if protocol == "http" else receiver.grpc_endpoint
    environment = {
        **os.environ,
        **receiver.environment,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_COMPRESSION": packed,
    }
    code = SERVICE.format(protocol=f"{protocol}")
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    charge = span("charge", status="error", exception="ValueError", attributes={"n": 3, "l": ["a"]})
    expect(receiver).to_have(
        charge.child_of(span("POST /pay", service="pay", kind="server")), count=1
    )
    expect(receiver).to_have(span("charge", links=1, link=span("POST /pay")))
    assert receiver.refused == []


DOCUMENT = trace_to_otlp(trace("1" * 32, server("pay", "GET /", 0, 9, internal("pay", "a", 1, 2))))


def post(receiver: OtlpReceiver, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(
        receiver.http_endpoint + path,
        body,
        {name.replace("_", "-"): v for name, v in headers.items()},
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_json_is_received_as_well(receiver: OtlpReceiver) -> None:
    """As browsers and collectors send it; the same span twice is one."""
    for _ in range(2):
        body = gzip.compress(json.dumps(DOCUMENT).encode())
        answer = post(receiver, "/v1/traces", body, Content_Type="application/json",
                      Content_Encoding="gzip")  # fmt: skip
        assert answer == (200, b"{}")
    assert len(receiver.look()) == 2
    receiver.clear()
    assert len(receiver.look()) == 0


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "told"),
    [
        ("/v1/traces", b"\xff\xff", {}, 400, "expected OTLP"),
        ("/v1/traces", b"{", {"Content_Type": "application/json"}, 400, "expected OTLP"),
        ("/v1/traces", b"[1]", {"Content_Type": "application/json"}, 400, "expected an object"),
        ("/v1/traces", b"x", {"Content_Encoding": "gzip"}, 400, "expected OTLP"),
        ("/v1/traces", b"x", {"Content_Encoding": "zstd"}, 400, "packed as 'zstd'"),
        ("/v1/spans", b"", {}, 404, "expected /v1/traces, got /v1/spans"),
    ],
)
def test_what_is_no_otlp_is_refused_and_told(
    receiver: OtlpReceiver, path: str, body: bytes, headers: dict[str, str], status: int, told: str
) -> None:
    """To whoever sent it, and to whoever wonders why no span came."""
    assert post(receiver, path, body, **headers)[0] == status
    (why,) = receiver.refused
    assert told in why


BOMB = gzip.compress(b" " * (64 * 2**20 + 1))


@pytest.mark.parametrize(
    ("headers", "status", "told"),
    [
        ({"Origin": "http://evil.example"}, 403, "a page of a browser"),
        ({"Origin": "http://127.0.0.1:3000"}, 403, "a page of a browser"),
        ({"Origin": "null"}, 403, "a page of a browser"),
        ({"Content_Length": "-1"}, 413, "got -1"),
        ({"Content_Length": "x\x1b]0;pwned"}, 413, "got x\ufffd]0;pwned"),
        ({"Content_Length": "9" * 30}, 413, "expected at most"),
        ({"Content_Length": str(2**26 + 1)}, 413, "expected at most"),
    ],
)
def test_neither_a_page_nor_an_endless_body_is_taken(
    receiver: OtlpReceiver, headers: dict[str, str], status: int, told: str
) -> None:
    """It listens where every page of this machine's browser can send something."""
    for path in ("/v1/traces", "/v1/logs"):
        receiver.refused.clear()
        assert post(receiver, path, b"{}", Connection="close", **headers)[0] == status
        (why,) = receiver.refused
        assert told in why
    assert len(receiver.look()) == 0


@pytest.mark.parametrize("body", [BOMB, BOMB[:-20], BOMB[:40]], ids=["bomb", "cut off", "short"])
def test_what_unpacks_to_more_than_it_may_is_refused(receiver: OtlpReceiver, body: bytes) -> None:
    """A few packed bytes can become gigabytes."""
    assert post(receiver, "/v1/traces", body, Content_Encoding="gzip")[0] == 400
    assert "cut off" in receiver.refused[0]


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_other_signals_are_taken_and_dropped(receiver: OtlpReceiver, signal: str) -> None:
    """A service that sends them as well should not fail because of a test."""
    assert post(receiver, f"/v1/{signal}", b"whatever")[0] == 200
    assert receiver.refused == []


def test_without_grpcio_it_says_how_to_get_it(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest works without."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(
        PreconditionError, match="pip install opentelemetry-exporter-otlp-proto-grpc"
    ):
        _ = receiver.grpc_endpoint


def test_without_the_protobuf_classes_it_says_how_to_get_them(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And JSON goes on being read."""
    name = "opentelemetry.proto.collector.trace.v1.trace_service_pb2"
    monkeypatch.setitem(sys.modules, name, None)
    assert post(receiver, "/v1/traces", b"")[0] == 501
    assert "pip install opentelemetry-exporter-otlp-proto-http" in receiver.refused[0]


def test_two_receivers_do_not_meet(receiver: OtlpReceiver) -> None:
    """As under ``pytest -n 8``: each has ports of its own."""
    with OtlpReceiver() as other:
        assert other.http_endpoint != receiver.http_endpoint
        assert other.grpc_endpoint != receiver.grpc_endpoint
        body: Any = json.dumps(DOCUMENT).encode()
        post(other, "/v1/traces", body, Content_Type="application/json")
        assert len(other.look()) == 2
    assert len(receiver.look()) == 0
