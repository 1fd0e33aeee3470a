"""A click in the shop begins a trace in the browser, and it is one trace down to the database."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from lab.adapters.otlp.traces import read_traces
from lab.domain.trace import Kind, Status, Trace
from lab.investigation.reading.pasted_links import read_paste
from tests.support.lab_under_test import LabUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ARRIVES_WITHIN_S = 20.0
EXPIRED_CARD = "4000 0000 0000 0069"


@pytest.fixture
def shop(lab: LabUnderTest, chromium: Browser) -> Iterator[Page]:
    """The shop's page with a customer signed in and one product in the basket."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(lab.settings.url("gateway"))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Add").first.click()
    yield page
    context.close()


def buy(page: Page) -> str:
    """Click *Checkout*; returns the trace id that went along."""
    with page.expect_request("**/checkout") as sent:
        page.get_by_role("button", name="Checkout").click()
    version, trace_id, _, flags = sent.value.headers["traceparent"].split("-")
    assert (version, flags) == ("00", "01")
    assert sent.value.headers["baggage"] == "tenant_id=birch"
    return trace_id


def stored(lab: LabUnderTest, trace_id: str, spans: int) -> Trace:
    """The trace from Tempo, once it is whole and so large."""
    address = f"{lab.settings.url('tempo_http')}/api/v2/traces/{trace_id}"
    deadline = time.monotonic() + ARRIVES_WITHIN_S
    seen = "nothing"
    while time.monotonic() < deadline:
        answer = httpx.get(address, headers={"Accept": "application/json"})
        if answer.status_code == 200:
            trace = read_traces(answer.json()).get(trace_id)
            if trace is not None and trace.is_whole and len(trace.by_id) >= spans:
                return trace
            seen = f"{len(trace.by_id) if trace else 0} spans"
        time.sleep(0.3)
    raise AssertionError(f"{trace_id} was not whole within {ARRIVES_WITHIN_S} s: {seen}")


def test_the_browsers_span_is_the_root_of_the_whole_trace(lab: LabUnderTest, shop: Page) -> None:
    """With the click's own moments on it, and the shop's spans below."""
    trace_id = buy(shop)
    expect(shop.get_by_text("Thank you, it is on its way")).to_be_visible()
    trace = stored(lab, trace_id, 20)
    root = trace.roots[0]
    assert (root.service, root.name, root.kind) == ("storefront", "click Checkout", Kind.INTERNAL)
    assert [event.name for event in root.events] == ["click", "handler", "answer read", "painted"]
    assert all(root.start_ns <= event.time_ns <= root.end_ns for event in root.events)
    assert float(str(root.attributes["page.load_ms"])) > 0
    [call] = trace.children(root)
    assert (call.name, call.kind, call.peer) == ("POST /checkout", Kind.CLIENT, "gateway")
    [answer] = trace.children(call)
    assert (answer.service, answer.kind) == ("gateway", Kind.SERVER)
    assert {"auth", "catalog", "checkout", "payments", "bank"} <= {span.service for span in trace}
    assert {span.attributes.get("tenant_id") for span in trace} == {"birch"}


def test_the_error_pages_support_code_is_the_trace(lab: LabUnderTest, shop: Page) -> None:
    """A declined card, in words; and what a customer reads out is what the desk understands."""
    shop.get_by_label("Card number").fill(EXPIRED_CARD)
    trace_id = buy(shop)
    expect(shop.get_by_text("Card declined (400)")).to_be_visible()
    code = shop.locator(".failure code").inner_text()
    assert code == trace_id
    assert read_paste(code).trace == trace_id
    trace = stored(lab, trace_id, 15)
    assert trace.roots[0].status is Status.ERROR


def test_the_shops_page_violates_no_rule(shop: Page) -> None:
    """Axe has nothing to say of the shelf, the basket and an error."""
    assert Axe().run(shop).generate_report().startswith("Found 0")
