"""The root span of a request, as the actor makes it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from lab.load.actors import Call
from lab.load.tracing import RootSpans

PRODUCT = Call("GET", "/products/{id}", "/products/7")
URL = "http://127.0.0.1:18100/products/7"


def root(status: int, error_type: str | None = None) -> ReadableSpan:
    exporter = InMemorySpanExporter()
    roots = RootSpans(exporter)
    span, _ = roots.begin(PRODUCT, URL, tenant="birch")
    roots.end(span, status, error_type)
    roots.flush()
    (ended,) = exporter.get_finished_spans()
    return ended


def test_a_request_is_a_client_span_and_the_root_of_its_trace() -> None:
    """Stable HTTP semantic conventions, low-cardinality name, the callee's name, the tenant."""
    span = root(200)

    assert span.name == "GET /products/{id}"
    assert span.kind is SpanKind.CLIENT
    assert span.parent is None
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "url.full": URL,
        "url.template": "/products/{id}",
        "server.address": "127.0.0.1",
        "server.port": 18100,
        "service.peer.name": "gateway",
        "http.response.status_code": 200,
        "tenant_id": "birch",
    }


def test_its_resource_names_the_storefront_and_no_process() -> None:
    """No file, host, pid or process: a learner must not find the load generator."""
    assert dict(root(200).resource.attributes) == {"service.name": "storefront"}


@pytest.mark.parametrize(
    ("status", "error_type", "expected"),
    [
        (400, None, "400"),
        (504, None, "504"),
        (0, "ConnectionRefusedError", "ConnectionRefusedError"),
    ],
)
def test_a_failure_is_an_error_that_names_its_type(
    status: int, error_type: str | None, expected: str
) -> None:
    """Client semantic conventions: 4xx, 5xx and no answer are all errors."""
    span = root(status, error_type)

    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == expected
    assert ("http.response.status_code" in (span.attributes or {})) == (status > 0)


def test_the_headers_carry_trace_and_tenant() -> None:
    """W3C trace context and baggage, so that the gateway's span is the root's child."""
    span, headers = RootSpans(InMemorySpanExporter()).begin(PRODUCT, URL, tenant="birch")

    context = span.get_span_context()
    assert f"{context.trace_id:032x}-{context.span_id:016x}" in headers["traceparent"]
    assert headers["baggage"] == "tenant_id=birch"


def test_without_a_tenant_there_is_no_baggage() -> None:
    """Before the login nobody knows the tenant."""
    _, headers = RootSpans(InMemorySpanExporter()).begin(PRODUCT, URL, tenant="")

    assert "baggage" not in headers


class _Unreachable(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.FAILURE


@pytest.mark.parametrize(("exporter", "failed"), [(InMemorySpanExporter(), 0), (_Unreachable(), 3)])
def test_spans_that_could_not_be_delivered_are_counted(exporter: SpanExporter, failed: int) -> None:
    """A lost root makes a case incomplete, so loss is told."""
    roots = RootSpans(exporter)
    for _ in range(3):
        span, _ = roots.begin(PRODUCT, URL, tenant="birch")
        roots.end(span, 200, None)
    roots.flush()

    assert (roots.ended, roots.failed) == (3, failed)
