"""The front page, what goes with a product, and what is shown where catalog fails."""

from __future__ import annotations

import re

import pytest

from lab.shop import topology
from tests.services.otlp_sink import OtlpSink
from tests.services.running_shop import Customer, RunningShop, whole_trace
from tests.services.wires import Wires


def test_the_shop_has_a_page_of_its_own_that_may_tell_nobody_else(
    shop: RunningShop, customer: Customer
) -> None:
    """Its browser may ask the shop, and send spans to the Collector: no third host, no script."""
    home = customer.ask("GET", "/").response
    assert home.headers["content-type"].startswith("text/html")
    collector = topology.url("otelcol_otlp_http", shop.offset)
    assert f'<meta name="otlp" content="{collector}">' in home.text
    policy = home.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; ")
    assert f"connect-src 'self' {collector};" in policy
    for path, kind in re.findall(r'(?:src|href)="(/front/[^"]+\.(css|js))"', home.text):
        answer = customer.ask("GET", path).response
        assert answer.status_code == 200
        assert (
            kind in answer.headers["content-type"] or "javascript" in answer.headers["content-type"]
        )


@pytest.mark.parametrize("name", ["nothing.js", "index.html", "..%2Fgateway.py", "%2Fetc%2Fpasswd"])
def test_no_other_file_is_served(customer: Customer, name: str) -> None:
    """What is not of the page is not found, whatever it is called."""
    answer = customer.ask("GET", f"/front/{name}").response
    assert answer.status_code == 404
    assert answer.json()["support_code"]


def test_the_front_page_asks_for_its_two_halves_at_once(customer: Customer, sink: OtlpSink) -> None:
    """Five featured products and the newest order; the two calls overlap under one SERVER span."""
    order_id = customer.buy().response.json()["order_id"]
    answer = customer.ask("GET", "/home")
    page = answer.response.json()
    assert len(page["featured"]) == 5
    assert page["recent"][0]["order_id"] == order_id
    spans = whole_trace(sink, answer)
    [root] = [s for s in spans if s.kind == "server" and s.service == "gateway"]
    halves = [
        s
        for s in spans
        if s.parent_id == root.span_id and s.attributes["service.peer.name"] != "auth"
    ]
    assert {s.attributes["service.peer.name"] for s in halves} == {"catalog", "checkout"}
    assert max(s.start_ns for s in halves) < min(s.end_ns for s in halves)


@pytest.mark.parametrize(
    ("product_id", "related_id", "status"), [(8, 7, "unset"), (7, None, "error")]
)
def test_half_of_all_products_have_nothing_that_goes_with_them(
    customer: Customer, sink: OtlpSink, product_id: int, related_id: int | None, status: str
) -> None:
    """The purchase succeeds either way; a 404 leaves a red CLIENT span and nothing else red."""
    answer = customer.buy(product_id=product_id)
    assert answer.response.status_code == 201
    spans = whole_trace(sink, answer)
    [asked] = [s for s in spans if s.name == "fetch_related"]
    [call] = [s for s in spans if s.parent_id == asked.span_id]
    assert (call.kind, call.status) == ("client", status)
    assert [s for s in spans if s.status == "error"] == ([call] if status == "error" else [])
    assert asked.status == "unset"


def test_an_empty_shelf_in_place_of_an_error(
    shop: RunningShop, customer: Customer, sink: OtlpSink, wires: Wires
) -> None:
    """With the fallback a failed page is an empty one, 200, and only the trace knows why."""
    shop.configure("gateway", environment={"SHOP_CATALOG_FALLBACK": "empty"})
    wires.cut("gateway-catalog")
    try:
        logged = len(sink.logs)
        answer = customer.ask("GET", "/products?page=2")
        assert answer.response.status_code == 200
        assert answer.response.json() == {"items": [], "page": 2}
        red = [s.name for s in whole_trace(sink, answer) if s.status == "error"]
        assert sorted(red) == ["GET", "fetch_page"]
        assert not any(service == "gateway" for service, _ in list(sink.logs)[logged:])
    finally:
        wires.mend_all()
        shop.configure("gateway", environment={})
