"""One trace through every hop, whichever headers carry it, and whoever began it."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

import anyio
import pytest

from lab.adapters.tempo import TempoStore
from lab.domain.trace import Kind, Trace
from lab.shop.topology import SERVICES
from tests.services.running_shop import GOOD_CARD, Customer
from tests.support.lab_under_test import LabUnderTest, lab_up
from tests.support.warden_parts import HTTP, wait_until

ACTORS = "storefront"
NOT_ON_THE_WAY = {"notifier"}
"""It sends the confirmation later, in a trace of its own."""

ON_THE_WAY = {ACTORS, *SERVICES} - NOT_ON_THE_WAY
WITHOUT_BAGGAGE = {"b3"}
KNOWING = {ACTORS, "gateway"}
"""Whom the customer tells the tenant: in person, and by the token of the login."""

BROUGHT = {
    "tracecontext,baggage": {
        "traceparent": "00-{trace}-{span}-01",
        "tracestate": "dd=s:2;o:rum;t.dm:-4,congo=t61rcWkgMzE",
    },
    "b3": {"b3": "{trace}-{span}-1"},
    "jaeger": {"uber-trace-id": "{trace}:{span}:0:1"},
}
"""What a vendor's edge writes that has begun a trace."""

FOUND_WITHIN_S = 60.0


@dataclass(frozen=True)
class Carried:
    """A stack whose services and actors carry traces by ``propagators``, and when it began."""

    propagators: str
    lab: LabUnderTest
    since_s: float


@pytest.fixture(scope="module", params=BROUGHT)
def carried(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Carried]:
    """The whole stack, and some seconds of real actors in it."""
    since_s = time.time()
    with lab_up(tmp_path_factory.mktemp("lab") / ".lab", OTEL_PROPAGATORS=request.param) as lab:
        played = lab.run("load", "--headless", "--users", "6", "--run-time", "8s")
        assert played.returncode == 0, played.stderr
        yield Carried(request.param, lab, since_s)


def found(carried: Carried, traceql: str) -> Trace:
    """A trace that answers ``traceql``, once Tempo has it in its search."""

    async def ask() -> Trace | None:
        async with TempoStore(carried.lab.settings.url("tempo_http")) as tempo:
            until_s = time.monotonic() + FOUND_WITHIN_S
            while time.monotonic() < until_s:
                ids = await tempo.search(traceql, start_s=carried.since_s, end_s=time.time() + 5)
                if ids:
                    return await tempo.trace(min(ids))
                await anyio.sleep(0.5)
        return None

    trace = anyio.run(ask)
    assert trace is not None, f"nothing answers {traceql}"
    return trace


def test_a_purchase_is_one_trace_through_every_hop(carried: Carried) -> None:
    """One root, the actor's; every span's parent is there; all services are in it."""
    trace = found(carried, '{name="POST /checkout" && kind=client} >> {name="charge_credit_card"}')
    roots = [span for span in trace if span.parent_id is None]
    assert [(root.service, root.kind) for root in roots] == [(ACTORS, Kind.CLIENT)]
    assert [span for span in trace if span.parent_id and not trace.parent(span)] == []
    assert {span.service for span in trace} == ON_THE_WAY
    crossings = [span for span in trace if span.kind is Kind.SERVER]
    assert {span.service for span in crossings} == ON_THE_WAY - {ACTORS}
    callers = [trace.parent(span) for span in crossings]
    assert {caller and caller.kind for caller in callers} == {Kind.CLIENT}


def test_the_tenant_travels_where_the_headers_have_room_for_it(carried: Carried) -> None:
    """B3 has none for baggage: there only those say it who know the tenant by themselves."""
    trace = found(carried, '{name="POST /checkout" && kind=client} >> {name="charge_credit_card"}')
    telling = {span.service for span in trace if "tenant_id" in span.attributes}
    assert telling == (KNOWING if carried.propagators in WITHOUT_BAGGAGE else ON_THE_WAY)


def test_a_message_points_back_at_the_purchase_it_came_from(carried: Carried) -> None:
    """The outbox keeps the same headers as a call has."""
    trace = found(carried, '{name="process outbox"}')
    (consumer,) = [span for span in trace if span.kind is Kind.CONSUMER]
    (link,) = consumer.links

    async def linked() -> Trace | None:
        async with TempoStore(carried.lab.settings.url("tempo_http")) as tempo:
            return await tempo.trace(link.trace_id)

    purchase = anyio.run(linked)
    assert purchase is not None
    producer = purchase.span(link.span_id)
    assert producer is not None
    assert (producer.service, producer.kind) == ("checkout", Kind.PRODUCER)


def test_a_trace_that_another_vendors_edge_began_stays_one(carried: Carried) -> None:
    """Its id and its state go through every hop: other vendors' words are not ours to drop."""
    customer = Customer(carried.lab.settings.url("gateway"))
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    headers = {
        name: text.format(trace=trace_id, span=span_id)
        for name, text in BROUGHT[carried.propagators].items()
    }
    order = {"items": [{"product_id": 8, "quantity": 1}], "card": {"number": GOOD_CARD}}
    answer = customer.ask("POST", "/checkout", json=order, headers=headers)
    assert answer.response.status_code == 201, answer.response.text

    def stored() -> list[dict[str, str]]:
        told = HTTP.get(f"{carried.lab.settings.url('tempo_http')}/api/v2/traces/{trace_id}").json()
        return [
            {"service": _service(resource), **span}
            for resource in told.get("trace", {}).get("resourceSpans", [])
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    on_the_way = ON_THE_WAY - {ACTORS}
    wait_until(lambda: {span["service"] for span in stored()} == on_the_way, "every hop's spans")

    def begun() -> list[dict[str, str]]:
        """What is below no span that has come: until all have, that is more than the first one."""
        spans = stored()
        ids = {span["spanId"] for span in spans}
        return [span for span in spans if span.get("parentSpanId") not in ids]

    wait_until(lambda: list(map(_is_first, begun())) == [True], "one span above all others")
    (first,), spans = begun(), stored()
    assert first["parentSpanId"] == base64.b64encode(bytes.fromhex(span_id)).decode()
    assert {span.get("traceState") for span in spans} == {headers.get("tracestate")}


def _is_first(span: dict[str, str]) -> bool:
    return span["service"] == "gateway" and span["kind"] == "SPAN_KIND_SERVER"


def _service(resource: dict[str, dict[str, list[dict[str, dict[str, str]]]]]) -> str:
    attributes = resource["resource"]["attributes"]
    return next(
        each["value"]["stringValue"]
        for each in attributes
        if each["key"] == "service.name"  # type: ignore[comparison-overlap]
    )
