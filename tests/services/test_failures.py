"""What a customer, the trace and the logs get to know when something between the parts breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.otlp_sink import OtlpSink, ReceivedSpan
from tests.services.running_shop import Answer, Customer, RunningShop, eventually
from tests.services.wires import Wires


@pytest.fixture
def mended(wires: Wires) -> Iterator[Wires]:
    """The wires, whole again after the test."""
    yield wires
    wires.mend_all()


def failed(sink: OtlpSink, answer: Answer, service: str) -> list[ReceivedSpan]:
    """The ERROR spans of one service in the order of their ends, the SERVER span among them."""

    def spans() -> list[ReceivedSpan]:
        return [span for span in sink.trace(answer.trace_id) if span.service == service]

    eventually(lambda: any(span.kind == "server" for span in spans()))
    red = [span for span in spans() if span.status == "error"]
    return sorted(red, key=lambda span: span.end_ns)


def test_a_hanging_database_is_a_timeout_all_the_way_up(
    customer: Customer, sink: OtlpSink, mended: Wires
) -> None:
    """A token check that gets no answer is 504; auth's own statement or connect is the red leaf."""
    mended.block("auth-users_db")
    answer = customer.buy()
    assert answer.response.status_code == 504
    assert answer.response.json() == {
        "type": "about:blank",
        "title": "Gateway Timeout",
        "status": 504,
        "support_code": answer.trace_id,
    }
    red = failed(sink, answer, "auth")
    leaf = next(span for span in red if span.name in {"SELECT", "db.connect"})
    assert leaf.attributes["service.peer.name"] == "users_db"
    assert [event.attributes["exception.type"] for event in leaf.events] == ["TimeoutError"]
    failed(sink, answer, "gateway")
    assert {span.service for span in sink.trace(answer.trace_id)} == {"gateway", "auth"}
    eventually(lambda: ("auth", "Connection timeout") in sink.logs)
    assert not any("SELECT" in body or "127.0.0.1" in body for _, body in sink.logs)


def test_a_database_that_is_gone_is_a_bad_gateway(
    customer: Customer, sink: OtlpSink, mended: Wires
) -> None:
    """Orders that cannot be stored are 502 at once; nothing was inserted."""
    mended.cut("checkout-orders_db")
    answer = customer.buy()
    assert answer.response.status_code == 502
    assert answer.response.json()["title"] == "Bad Gateway"
    names = [span.name for span in failed(sink, answer, "checkout")]
    assert "db.connect" in names
    assert "place_order" in names
    assert "INSERT" not in [s.name for s in sink.trace(answer.trace_id) if s.service == "checkout"]


def test_a_silent_bank_is_a_timeout_of_payments_own_call(
    customer: Customer, sink: OtlpSink, mended: Wires
) -> None:
    """The bank's silence ends at payments' limit, under a charge that says it failed."""
    mended.block("payments-bank")
    answer = customer.buy()
    assert answer.response.status_code == 504
    red = failed(sink, answer, "payments")
    call = next(span for span in red if span.kind == "client")
    assert [event.attributes["exception.type"] for event in call.events] == ["httpx.ReadTimeout"]
    assert 1.49 <= call.duration_s < 3.0
    charge = next(span for span in red if span.name == "charge_credit_card")
    assert charge.description == "charge failed"
    eventually(lambda: ("payments", "charge failed: ReadTimeout") in sink.logs)


def test_a_service_that_is_gone_is_a_bad_gateway(
    customer: Customer, sink: OtlpSink, mended: Wires
) -> None:
    """A page whose catalogue cannot be reached is 502, with the call's exception in the trace."""
    mended.cut("gateway-catalog")
    answer = customer.ask("GET", "/products")
    assert answer.response.status_code == 502
    red = [span.name for span in failed(sink, answer, "gateway")]
    assert red == ["GET", "fetch_page", "GET /products"]


def test_everything_works_again_once_it_is_mended(
    shop: RunningShop, customer: Customer, mended: Wires
) -> None:
    """After every edge was cut and mended no service has restarted and purchases succeed."""
    before = {name: state["pid"] for name, state in shop.services().items()}
    mended.cut_all()
    assert customer.ask("GET", "/products").response.status_code == 502
    mended.mend_all()
    eventually(lambda: customer.buy().response.status_code == 201)
    assert {name: state["pid"] for name, state in shop.services().items()} == before
