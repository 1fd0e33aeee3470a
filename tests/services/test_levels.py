"""How much the shop writes down: all of it, what libraries give by themselves, or nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from lab.shop.keeper.environment import LEVELS
from tests.services.otlp_sink import OtlpSink, ReceivedSpan
from tests.services.running_shop import Customer, RunningShop, eventually

OWN = {"pool.acquire", "fetch_related", "charge_credit_card", "place_order"}
"""Some of the names that only the shop's own spans have."""

NATIVE = "POST /checkout"


def put_level(shop: RunningShop, level: str) -> httpx.Response:
    url = shop.url("shop_control") + "/services"
    return shop.http.put(url, json={"environment": dict(LEVELS[level])})


@pytest.fixture(autouse=True)
def full_again(shop: RunningShop) -> Iterator[None]:
    yield
    assert put_level(shop, "full").status_code == 200


def bought(shop: RunningShop, sink: OtlpSink, *, spans: int) -> list[ReceivedSpan]:
    """The spans of one purchase, once there are so many and no more follow."""
    customer = Customer(shop.url("gateway"))
    purchase = customer.buy()
    assert purchase.response.status_code == 201
    eventually(lambda: len(sink.trace(purchase.trace_id)) >= spans)
    time.sleep(0.5)
    return sink.trace(purchase.trace_id)


def test_at_full_fastapi_s_own_spans_stay_although_the_contrib_package_is_there(
    shop: RunningShop, sink: OtlpSink
) -> None:
    """Its presence alone must not stop them; the shop's own spans are there as well."""
    seen = bought(shop, sink, spans=15)
    assert {span.name for span in seen} >= OWN
    assert not any(span.name.endswith((" http send", " http receive")) for span in seen)
    assert NATIVE in {span.name for span in seen if span.kind == "server"}


def test_zero_code_spans_are_those_of_libraries_in_one_unbroken_trace(
    shop: RunningShop, sink: OtlpSink
) -> None:
    """The contrib package's server spans with all it adds; what the shop would add is not there."""
    assert put_level(shop, "auto").status_code == 200
    seen = bought(shop, sink, spans=10)
    names = {span.name for span in seen}
    assert not OWN & names
    assert "POST /checkout http send" in names
    assert {"SELECT", "INSERT"} <= names
    ids = {span.span_id for span in seen}
    assert [span.service for span in seen if span.parent_id not in ids] == ["gateway"]
    assert not any("healthz" in span.name for span in sink.spans)


def test_at_none_nothing_is_written_down_and_everything_works(
    shop: RunningShop, sink: OtlpSink
) -> None:
    assert put_level(shop, "none").status_code == 200
    before = {name: state["spans_ended"] for name, state in shop.services().items()}
    assert bought(shop, sink, spans=0) == []
    after = {name: state["spans_ended"] for name, state in shop.services().items()}
    assert after == before


def test_the_same_level_again_restarts_nothing_and_an_overlay_stays_on_top(
    shop: RunningShop,
) -> None:
    assert put_level(shop, "auto").status_code == 200
    before = {name: state["pid"] for name, state in shop.services().items()}
    assert put_level(shop, "auto").json() == {"environment": dict(LEVELS["auto"])}
    assert {name: state["pid"] for name, state in shop.services().items()} == before
    shop.configure("bank", environment={"SHOP_KEEP_ALIVE": "3s"})
    assert put_level(shop, "full").status_code == 200
    assert shop.services()["bank"]["environment"] == {"SHOP_KEEP_ALIVE": "3s"}
    shop.configure("bank", environment={})


def test_a_level_that_cannot_work_is_answered_with_the_last_words(shop: RunningShop) -> None:
    """Here one under which a service that is set wrong does not start; set right, all is well."""
    shop.configure("bank", environment={"SHOP_KEEP_ALIVE": "never"})
    answer = put_level(shop, "none")
    assert answer.status_code == 504
    assert "healthy" in answer.json()["error"]
    assert answer.json()["log"]
    assert shop.configure("bank", environment={}).status_code == 200
    assert put_level(shop, "full").status_code == 200


def test_what_is_no_level_is_refused(shop: RunningShop) -> None:
    answer = shop.http.put(shop.url("shop_control") + "/services", json={"environment": 1})
    assert answer.status_code == 400
    assert "expected" in answer.json()["error"]
