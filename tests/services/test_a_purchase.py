"""What traces, logs and answers say of ordinary and of declined purchases."""

from __future__ import annotations

import re
from collections import Counter
from secrets import token_hex

import pytest

from tests.services.otlp_sink import OtlpSink, ReceivedSpan
from tests.services.running_shop import (
    EXPIRED_CARD,
    POOR_CARD,
    Customer,
    RunningShop,
    eventually,
    whole_trace,
)


def the(
    spans: list[ReceivedSpan], service: str, name: str, kind: str | None = None
) -> ReceivedSpan:
    found = [
        span
        for span in spans
        if span.service == service and span.name == name and kind in (None, span.kind)
    ]
    assert len(found) == 1, found
    return found[0]


def test_a_purchase_leaves_one_tree_from_the_gateway_to_every_callee(
    customer: Customer, sink: OtlpSink
) -> None:
    """All spans of a purchase hang together, carry the tenant, and CLIENT spans name their peer."""
    answer = customer.buy()
    assert answer.response.status_code == 201
    spans = whole_trace(sink, answer)
    assert {span.service for span in spans} == {
        "gateway", "auth", "catalog", "checkout", "payments", "bank",
    }  # fmt: skip
    assert {span.status for span in spans} == {"unset"}
    assert {span.attributes.get("tenant_id") for span in spans} == {"acme"}
    peers = {
        (span.service, span.attributes["service.peer.name"])
        for span in spans
        if span.kind == "client"
    }
    assert peers == {
        ("gateway", "auth"), ("gateway", "checkout"), ("auth", "users_db"),
        ("checkout", "catalog"), ("catalog", "catalog_db"), ("checkout", "payments"),
        ("payments", "bank"), ("payments", "ledger_db"), ("checkout", "orders_db"),
    }  # fmt: skip


def test_an_order_is_placed_in_one_transaction_after_the_charge(
    customer: Customer, sink: OtlpSink
) -> None:
    """`place_order` begins when the charge has ended and holds BEGIN, both INSERTs and COMMIT."""
    spans = whole_trace(sink, customer.buy())
    placed = the(spans, "checkout", "place_order")
    assert placed.start_ns >= the(spans, "payments", "charge_credit_card").end_ns
    inside = sorted(
        (span for span in spans if placed.start_ns <= span.start_ns < placed.end_ns),
        key=lambda span: span.start_ns,
    )
    assert [span.name for span in inside] == [
        "place_order", "pool.acquire", "BEGIN;", "INSERT", "send outbox", "INSERT", "COMMIT;",
        "SELECT",
    ]  # fmt: skip
    connections = {span.attributes.get("db.connection.id") for span in inside} - {None}
    assert len(connections) == 1


def test_a_confirmation_is_sent_in_a_trace_of_its_own_linked_to_the_purchase(
    customer: Customer, sink: OtlpSink
) -> None:
    """The notifier's CONSUMER span is a root with a link to checkout's PRODUCER span."""
    answer = customer.buy()
    order_id = answer.response.json()["order_id"]
    producer = the(whole_trace(sink, answer), "checkout", "send outbox", "producer")

    def consumed() -> list[ReceivedSpan]:
        return [
            span
            for span in sink.spans
            if span.name == "process outbox" and span.attributes["order_id"] == order_id
        ]

    eventually(lambda: bool(consumed()))
    (consumer,) = consumed()
    assert consumer.parent_id == ""
    assert consumer.kind == "consumer"
    assert consumer.attributes["tenant_id"] == "acme"
    assert consumer.attributes["messaging.message.age_ms"] >= 0
    assert consumer.links == ((producer.trace_id, producer.span_id),)
    children = {span.name for span in sink.spans if span.parent_id == consumer.span_id}
    assert children == {"send_email", "DELETE"}


@pytest.mark.parametrize(
    ("card", "reason"), [(EXPIRED_CARD, "expired_card"), (POOR_CARD, "insufficient_funds")]
)
def test_a_declined_card_is_nobodys_failure(
    customer: Customer, sink: OtlpSink, card: str, reason: str
) -> None:
    """The bank's 402 is its right answer; the charge is red and answered 400 by all above it."""
    answer = customer.buy(card)
    assert answer.response.status_code == 400
    document = answer.response.json()
    assert answer.response.headers["content-type"] == "application/problem+json"
    assert document["title"] == "Card declined"
    assert document["reason"] == reason
    assert document["support_code"] == answer.trace_id
    spans = whole_trace(sink, answer)
    charge = the(spans, "payments", "charge_credit_card")
    assert (charge.status, charge.description) == ("error", "Card declined")
    assert charge.attributes["decline.reason"] == reason
    assert charge.attributes["payment.currency"] == "EUR"
    assert [event.name for event in charge.events] == ["exception"]
    servers = {
        span.service: span for span in spans if span.kind == "server" and span.name[:4] == "POST"
    }
    assert servers["bank"].attributes["http.response.status_code"] == 402
    for service in ("payments", "checkout", "gateway"):
        assert servers[service].attributes["http.response.status_code"] == 400
    assert {span.status for span in spans if span.kind == "server"} == {"unset"}
    red = Counter((span.service, span.kind) for span in spans if span.status == "error")
    assert red == {
        ("gateway", "client"): 1, ("checkout", "client"): 1, ("payments", "internal"): 1,
        ("payments", "client"): 1,
    }  # fmt: skip
    eventually(lambda: ("payments", "declines") in sink.metrics)


def test_pools_and_the_outbox_are_measured(customer: Customer, sink: OtlpSink) -> None:
    """Every service with a database tells of its pool, the notifier of its outbox too."""
    customer.buy()
    owners = ("auth", "catalog", "checkout", "payments", "notifier")
    names = ("count", "max", "pending_requests")
    expected = {(owner, f"db.client.connection.{name}") for owner in owners for name in names}
    eventually(lambda: {*expected, ("notifier", "outbox.depth")} <= sink.metrics)


def test_a_declined_card_puts_the_stock_back(customer: Customer) -> None:
    """What a declined customer had reserved is on the shelf again."""
    before = customer.ask("GET", "/products/42").response.json()["stock"]
    customer.buy(EXPIRED_CARD, product_id=42)
    assert customer.ask("GET", "/products/42").response.json()["stock"] == before


def test_an_order_can_be_read_by_its_owner_alone(shop: RunningShop, customer: Customer) -> None:
    """Another customer's order is as unknown as one that does not exist."""
    order_id = customer.buy().response.json()["order_id"]
    mine = customer.ask("GET", f"/orders/{order_id}").response.json()
    assert mine["order_id"] == order_id
    assert [line["product_id"] for line in mine["lines"]] == [8]
    other = Customer(shop.url("gateway"), "user0011@example.com")
    assert other.ask("GET", f"/orders/{order_id}").response.status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "title"),
    [
        ("GET", "/products/999999", None, 404, "Unknown product"),
        ("POST", "/checkout", {"items": [], "card": {"number": "1"}}, 422, "Unprocessable Content"),
        (
            "POST",
            "/checkout",
            {
                "items": [{"product_id": 999999, "quantity": 1}],
                "card": {"number": "4242424242424242"},
            },
            400,
            "Unknown product",
        ),
        (
            "POST",
            "/checkout",
            {"items": [{"product_id": 1, "quantity": 1}], "card": {"number": "4242424242424241"}},
            400,
            "Card invalid",
        ),
        ("GET", "/nowhere", None, 404, "Not Found"),
    ],
)
def test_the_shop_says_no_in_one_way(
    customer: Customer, method: str, path: str, body: object, status: int, title: str
) -> None:
    """Whatever is refused is a problem document with a title and a support code."""
    answer = customer.ask(method, path, json=body)
    assert answer.response.status_code == status
    document = answer.response.json()
    assert (document["title"], document["support_code"]) == (title, answer.trace_id)


@pytest.mark.parametrize("authorization", ["Bearer of bad news", "Basic dTpw", ""])
def test_nobody_gets_in_without_a_token(customer: Customer, authorization: str) -> None:
    """A wrong, foreign or missing token is answered 401."""
    answer = customer.ask("GET", "/products", headers={"authorization": authorization})
    assert answer.response.status_code == 401


def test_a_wrong_password_is_refused(customer: Customer) -> None:
    """A known e-mail with another password is answered 401."""
    credentials = {"email": "user0010@example.com", "password": "password-0011"}
    assert customer.ask("POST", "/login", json=credentials).response.status_code == 401


def test_browsing_names_the_page_and_the_cache(customer: Customer, sink: OtlpSink) -> None:
    """A page lies in `fetch_page`, a single product in `cache.lookup`, which misses by default."""
    page = customer.ask("GET", "/products?size=3")
    assert [item["product_id"] for item in page.response.json()["items"]] == [1, 2, 3]
    spans = whole_trace(sink, page)
    exchange = the(spans, "gateway", "fetch_page")
    assert exchange.attributes["http.response.body.size"] == len(page.response.content)
    call = next(span for span in spans if span.parent_id == exchange.span_id)
    assert (call.kind, call.attributes["service.peer.name"]) == ("client", "catalog")
    rows = [span.attributes.get("db.response.returned_rows") for span in spans]
    assert 3 in rows
    product = whole_trace(sink, customer.ask("GET", "/products/3"))
    lookup = the(product, "catalog", "cache.lookup")
    assert lookup.attributes["cache.key"] == "product:3"
    assert lookup.attributes["cache.hit"] is False


def test_a_tenant_that_the_caller_does_not_name_is_named_by_the_gateway(
    customer: Customer, sink: OtlpSink
) -> None:
    """Without baggage from outside, every span after the token check carries the user's tenant."""
    answer = customer.ask("GET", "/products/3", headers={"baggage": ""})
    spans = whole_trace(sink, answer)
    catalog = [span for span in spans if span.service == "catalog"]
    assert {span.attributes["tenant_id"] for span in catalog} == {"acme"}


def test_a_payment_with_a_key_is_made_once_however_often_it_is_sent(shop: RunningShop) -> None:
    """The bank answers a repeated key with its first answer, and any other call with a new one."""
    payment = {
        "order_id": "o", "card_number": "4242424242424242", "amount_cents": 1, "currency": "EUR"
    }  # fmt: skip

    def authorize(**headers: str) -> str:
        headers["traceparent"] = f"00-{token_hex(16)}-{token_hex(8)}-01"
        answer = shop.http.post(shop.url("bank") + "/authorizations", json=payment, headers=headers)
        assert answer.status_code == 201
        return str(answer.json()["authorization"])

    first = authorize(**{"Idempotency-Key": "k1"})
    assert authorize(**{"Idempotency-Key": "k1"}) == first
    others = {authorize(**{"Idempotency-Key": "k2"}), authorize(), authorize()}
    assert len(others - {first}) == 3


def test_each_charge_is_on_the_span_of_the_bank_and_in_its_log(
    shop: RunningShop, customer: Customer, sink: OtlpSink
) -> None:
    """Two authorizations for one order are two charges; the bank's log has each of them."""
    bank = the(whole_trace(sink, customer.buy()), "bank", "POST /authorizations", "server")
    order_id = bank.attributes["order_id"]
    assert re.fullmatch(r"[0-9a-f]{16}", str(bank.attributes["payment.authorization"]))
    said = rf"charged \d+ cents for order {order_id}"
    eventually(lambda: any(re.fullmatch(said, body) for _, body in sink.logs))


def test_personal_data_leaks_as_a_careless_developer_leaks_it(
    customer: Customer, sink: OtlpSink
) -> None:
    """E-mail and card number reach the backend in every form that a mask has to know."""
    link = customer.ask("GET", "/products?email=bob@example.com")
    declined = customer.buy(EXPIRED_CARD)
    invalid = customer.buy("4000 0000 0000 0061")
    spans = [s for answer in (link, declined, invalid) for s in whole_trace(sink, answer)]
    queries = {span.attributes.get("url.query", "") for span in spans}
    assert any("email=bob%40example.com" in query for query in queries)
    assert any("email=bob@example.com" in span.attributes.get("url.full", "") for span in spans)
    exceptions = [event.attributes for span in spans for event in span.events]
    for key in ("exception.message", "exception.stacktrace"):
        assert any(EXPIRED_CARD in event[key] for event in exceptions)
        assert any("user0010@example.com" in event[key] for event in exceptions)
    assert any("4000 0000 0000 0061" in span.description for span in spans)
    eventually(lambda: any(EXPIRED_CARD in body for _, body in sink.logs))


def test_the_span_names_keep_the_case_of_sql(customer: Customer, sink: OtlpSink) -> None:
    """Every statement's span is named by an upper-case keyword."""
    spans = whole_trace(sink, customer.buy())
    statements = {span.name for span in spans if "db.query.text" in span.attributes}
    assert all(re.fullmatch(r"[A-Z]+;?", name) for name in statements)


def test_nothing_but_requests_and_messages_begins_a_trace(
    shop: RunningShop, customer: Customer, sink: OtlpSink
) -> None:
    """Health checks, polling an empty outbox and keeping pools warm leave no roots; audits do."""
    whole_trace(sink, customer.buy())
    roots = {(span.service, span.name) for span in sink.spans if span.parent_id == ""}
    assert roots <= {("notifier", "process outbox"), ("auditor", "audit_accounts")}


def test_every_ended_span_is_counted(shop: RunningShop, customer: Customer, sink: OtlpSink) -> None:
    """The parent's counts of ended spans agree with what the backend received."""
    customer.buy()

    def agree() -> bool:
        received = Counter(span.service for span in sink.spans)
        counted = {name: state["spans_ended"] for name, state in shop.services().items()}
        return all(received[name] == count for name, count in counted.items())

    eventually(agree)
