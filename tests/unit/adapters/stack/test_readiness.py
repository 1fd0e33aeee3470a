"""Probes say what they saw; waiting says what it awaited."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from lab.adapters.stack.collector_metrics import dropped_in, spans_dropped
from lab.adapters.stack.readiness import Probe, answers, holds_proxies, port_is_free, until_ready
from lab.errors import StackNotReady, WaitTimeout
from lab.shop.topology import HOST

URL = "http://127.0.0.1:1"


def client(status: int = 200, **body: object) -> httpx.AsyncClient:
    """A client whose server always gives the same answer."""
    return httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(status, **body))  # type: ignore[arg-type]
    )


def nobody(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def look(probe: Probe) -> str | None:
    async def once() -> str | None:
        return await probe()

    return asyncio.run(once())


def test_a_200_is_ready() -> None:
    """Nothing is missing."""
    assert look(answers(client(), URL)) is None


def test_anything_but_200_is_told() -> None:
    """A 503 and its reason are what was seen."""
    seen = look(answers(client(503, text="ingester not ready"), URL))

    assert seen == f"503 'ingester not ready' at {URL}"


def test_nobody_at_the_port_is_told() -> None:
    """A refused connection is something to have seen, not an exception."""
    refused = httpx.AsyncClient(transport=httpx.MockTransport(nobody))

    assert look(answers(refused, URL)) == f"ConnectError at {URL}"
    assert look(holds_proxies(refused, URL, frozenset(), dict)) == f"ConnectError at {URL}"


def test_an_edge_without_its_proxy_is_told() -> None:
    """Toxiproxy that answers, but not with every edge, is not ready."""
    half = client(json={"gateway-auth": {}})

    assert look(holds_proxies(half, URL, frozenset({"gateway-auth"}), dict)) is None
    seen = look(holds_proxies(half, URL, frozenset({"gateway-auth", "payments-bank"}), dict))
    assert seen == "no proxy for payments-bank"


def test_waiting_says_what_for_how_long_and_what_it_saw() -> None:
    """The last thing seen is in the error, with the count of tries."""

    async def never() -> str | None:
        return "503 warming up"

    with pytest.raises(WaitTimeout) as caught:
        asyncio.run(until_ready("tempo to be ready", never, deadline_s=0.1))

    assert caught.value.awaited == "tempo to be ready"
    assert caught.value.last_seen == "503 warming up"
    assert caught.value.tries > 1


def test_waiting_ends_with_the_first_good_look() -> None:
    """No look more than needed."""
    looks = iter(["not yet", "not yet", None, "never asked"])

    async def probe() -> str | None:
        return next(looks)

    asyncio.run(until_ready("it", probe, deadline_s=5))

    assert list(looks) == ["never asked"]


def test_a_port_is_free_until_somebody_listens() -> None:
    """And free again when they are gone."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        assert not port_is_free(HOST, port)

    assert port_is_free(HOST, port)


METRICS = """\
# TYPE otelcol_receiver_accepted_spans_total counter
otelcol_receiver_accepted_spans_total{receiver="otlp",transport="http"} 999
otelcol_receiver_refused_spans_total{receiver="otlp",transport="http"} 3
otelcol_exporter_sent_spans_total{exporter="otlp_grpc/tempo"} 990
otelcol_exporter_send_failed_spans_total{exporter="otlp_grpc/tempo"} 4
otelcol_exporter_enqueue_failed_spans_total{exporter="otlp_grpc/tempo"} 1e+02
otelcol_exporter_send_failed_log_records_total{exporter="file/logs"} 50
"""


def test_every_way_to_lose_a_span_counts() -> None:
    """Refused, not sent and not queued add up; what was sent, and logs, do not."""
    assert dropped_in(METRICS) == 3 + 4 + 100
    assert dropped_in("") == 0


@pytest.mark.parametrize(
    "unreadable",
    [
        client(500),
        client(text="<html>It works!</html>"),
        client(text=""),
        client(text="otelcol_exporter_send_failed_spans_total NaN"),
        client(text="otelcol_exporter_send_failed_spans_total many"),
        client(text="<html>", headers={"Content-Type": "text/html; charset=hex"}),
    ],
    ids=["500", "html", "empty", "nan", "text", "no-charset"],
)
def test_counters_that_cannot_be_read_are_an_error(unreadable: httpx.AsyncClient) -> None:
    """No answer, or somebody else's, must not look like no loss."""
    with pytest.raises(StackNotReady, match="Collector's counters"):
        asyncio.run(spans_dropped(unreadable, URL))
