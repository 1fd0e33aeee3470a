"""Every assertion holds where it should, and says what is wrong where it does not."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lab.domain.trace import Kind, Link, Span, Status, Trace
from lab.errors import UsageError
from lab.testing import PRESENT, Incomplete, TraceSet, async_expect, expect, span
from tests.support.traces import Draft, client, internal, server, trace
from tests.unit.testing.messages import same_as_kept, told_by

DECLINED = Status.ERROR


def payment(number: int = 1, *, charge_ms: float = 20.0, status: Status = DECLINED) -> Trace:
    """``POST /pay`` that reads a cart twice at once and charges a card."""
    declined = {"exception": "shop.CardDeclined"} if status is Status.ERROR else {}
    bank = client("pay", "POST", 12, charge_ms - 4, "bank", status=status)
    return trace(
        f"{number:032x}",
        server(
            "pay",
            "POST /pay",
            0,
            charge_ms + 12,
            internal("pay", "load cart", 1, 5, attributes={"items": 3, "cart": "c-17"}),
            internal("pay", "load cart", 2, 5, attributes={"items": 0, "cart": "c-18"}),
            Draft("pay", "charge card", 10, charge_ms, status=status, children=[bank], **declined),  # type: ignore[arg-type]
        ),
    )


ONE = [payment()]
MANY = [payment(n, status=Status.UNSET) for n in range(1, 20)] + [payment(20)]
CHARGE = span("charge card")

HOLD: Mapping[str, Callable[[], object]] = {
    "exists": lambda: expect(ONE).to_have(CHARGE),
    "exists by words": lambda: expect(ONE).to_have(name="charge card", status="error"),
    "exists as data": lambda: expect(ONE).to_have({"name": "charge card", "status": "error"}),
    "absent": lambda: expect(ONE).not_to_have("refund"),
    "count": lambda: expect(ONE).to_have("load cart", count=2),
    "child": lambda: expect(ONE).to_have(CHARGE.child_of(span("POST /pay"))),
    "descendant": lambda: expect(ONE).to_have(span("POST").descendant_of(span("POST /pay"))),
    "deepest": lambda: expect(ONE).to_have(span("POST", deepest_error=True)),
    "equal": lambda: (
        expect(ONE).to_have("load cart") and expect(ONE).to_have(attributes={"items": 3})
    ),
    "at least": lambda: expect(ONE).to_have(attributes={"items": ">= 3"}, count="== 1"),
    "regex": lambda: expect(ONE).to_have(attributes={"cart": re.compile(r"^c-\d+$")}, count=2),
    "present": lambda: expect(ONE).to_have(attributes={"cart": PRESENT}, count=2),
    "without": lambda: (
        expect(ONE).to_have("charge card", count=1)
        and expect(ONE).to_have(span("charge card", no_attributes="cart"))
    ),
    "kind": lambda: expect(ONE).to_have(kind="client", peer="bank"),
    "exception": lambda: expect(ONE).to_have(exception="CardDeclined"),
    "duration": lambda: expect(ONE).to_have(span("charge card", duration="== 20ms")),
    "self time": lambda: expect(ONE).to_have(span("charge card", self_time="4ms ±1us")),
    "at once": lambda: expect(ONE).to_have(span("load cart", at_once=2), count=2),
    "most traces": lambda: expect(MANY).to_have(
        span("charge card", status="unset"), traces=">= 95%"
    ),
    "one trace": lambda: expect(MANY).to_have(span("charge card", status="error"), traces="== 1"),
    "absent in most": lambda: expect(MANY).not_to_have(status="error", traces=">= 95%"),
    "baseline": lambda: expect(ONE, baseline=MANY).to_have(
        span("charge card", duration="unchanged")
    ),
    "all of them": lambda: expect(ONE).to_hold(
        {"exists": {"name": "charge card"}}, {"count": {"name": "load cart"}, "bound": "== 2"}
    ),
}

SLOW = [payment(charge_ms=900.0)]

FAIL: Mapping[str, Callable[[], object]] = {
    "exists": lambda: expect(ONE).to_have("charge_card"),
    "absent": lambda: expect(ONE).not_to_have("load cart"),
    "count": lambda: expect(ONE).to_have("load cart", count=3),
    "child": lambda: expect(ONE).to_have(span("POST").child_of(span("POST /pay"))),
    "descendant": lambda: expect(ONE).to_have(span("load cart").descendant_of(CHARGE)),
    "deepest": lambda: expect(ONE).to_have(span("charge card", deepest_error=True)),
    "status": lambda: expect(ONE).to_have(span("charge card", status="ok")),
    "kind": lambda: expect(ONE).to_have(span("charge card", kind="client")),
    "equal": lambda: expect(ONE).to_have(span("load cart", attributes={"items": 4})),
    "bound": lambda: expect(ONE).to_have(span("load cart", attributes={"items": "> 3"})),
    "regex": lambda: expect(ONE).to_have(span("load cart", attributes={"cart": re.compile("^d-")})),
    "present": lambda: expect(ONE).to_have(span("load cart", attributes={"tenant": PRESENT})),
    "without": lambda: expect(ONE).to_have(span("load cart", no_attributes=["cart"])),
    "exception": lambda: expect(ONE).to_have(span("charge card", exception="TimeoutError")),
    "duration": lambda: expect(SLOW).to_have(span("charge card", duration="<= 250ms")),
    "self-time": lambda: expect(ONE).to_have(span("charge card", self_time=">= 10ms")),
    "baseline": lambda: expect(SLOW, baseline=MANY).to_have(
        span("charge card", duration="<= 2x reference")
    ),
    "no-baseline": lambda: expect(SLOW).to_have(span("charge card", duration="<= 2x reference")),
    "links": lambda: expect(ONE).to_have(span("charge card", links=1)),
    "link": lambda: expect(ONE).to_have(span("charge card", link=span("publish"))),
    "most-traces": lambda: expect(MANY).to_have(
        span("charge card", status="unset"), traces=">= 96%"
    ),
    "absent-in-most": lambda: expect(MANY).not_to_have(status="unset", traces=">= 50%"),
    "nothing": lambda: expect([]).to_have("charge card"),
    "within": lambda: expect(ONE, within_s=0.05).to_have("refund"),
    "all-of-them": lambda: expect(ONE).to_hold(
        {"exists": {"name": "charge card"}},
        {"count": {"name": "load cart"}, "bound": "== 1"},
        {"absent": {"status": "error"}, "traces": ">= 95%"},
    ),
    "tree": lambda: expect(ONE).to_match_tree(
        """
        POST /pay [server]
            charge card
                POST [client, error]
            load cart
        """
    ),
}


@pytest.mark.parametrize("name", HOLD)
def test_what_is_there_is_found(name: str) -> None:
    """And what matched is returned, for whoever wants to look on."""
    found = HOLD[name]()
    assert isinstance(found, tuple)
    assert found or name.startswith("absent")


@pytest.mark.parametrize("name", FAIL)
def test_what_is_not_there_is_told(name: str) -> None:
    """With the tree, the nearest span in it, and the clause that it failed."""
    same_as_kept(name, told_by(FAIL[name]))


def test_a_link_leads_to_a_span_of_another_trace() -> None:
    """The trace at its end is found among those one has."""
    published = payment()
    target = published.spans[0]
    consumer = trace("f" * 32, internal("mail", "send mail", 50, 4))
    (bare,) = consumer.spans
    fields = {name: getattr(bare, name) for name in Span.__slots__}
    linking = Span(**{**fields, "links": (Link(target.trace_id, target.span_id),)})
    found = expect([published, Trace(consumer.trace_id, (linking,))]).to_have(
        span("send mail", links=1, link=span("POST /pay", kind=Kind.SERVER))
    )
    assert [each.name for each in found] == ["send mail"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"nmae": "x"}, "did you mean name?"),
        ({"status": "err"}, "unknown span status 'err'"),
        ({"duration": "fast"}, "duration: expected a bound"),
        ({"duration": ">= 3"}, "expected a bound on a duration, got a number"),
        ({"root": "yes"}, "root: expected True or False"),
        ({"name": 3}, "name: expected text"),
        ({"attributes": ["a"]}, "attributes: expected a mapping"),
        ({"attributes": {"a": None}}, "a: expected text, a number, a pattern or PRESENT"),
    ],
)
def test_words_that_mean_nothing_are_refused(words: dict[str, Any], told: str) -> None:
    """Before anything is looked at: a misspelt word would hold of every span."""
    with pytest.raises(UsageError, match=re.escape(told).replace(r"\?", r"\?")):
        expect(ONE).to_have(**words)


@pytest.mark.parametrize(
    ("assertion", "told"),
    [
        ({"exist": {"name": "x"}}, "did you mean exists?"),
        ({"exists": {}, "absent": {}}, "expected one of exists"),
        ({"count": {"name": "x"}}, "expected one of exists"),
        ({"exists": {"name": "x"}, "traces": "<= 3ms"}, "expected a number or a share"),
    ],
)
def test_assertions_that_mean_nothing_are_refused(assertion: dict[str, Any], told: str) -> None:
    """The same of whole assertions as data."""
    with pytest.raises(UsageError, match=re.escape(told)):
        expect(ONE).to_hold(assertion)


def test_a_span_and_words_for_one_are_refused() -> None:
    """Nobody could say which of them counts."""
    with pytest.raises(UsageError, match="got both"):
        expect(ONE).to_have(CHARGE, status="error")


class Growing:
    """A source in which spans come with time."""

    patience_s = 0.0
    poll_s = 0.01

    def __init__(self, *stages: TraceSet) -> None:
        self._stages = list(stages)
        self.looks = 0

    def look(self) -> TraceSet:
        self.looks += 1
        return self._stages.pop(0) if len(self._stages) > 1 else self._stages[0]


def torn(whole: Trace) -> TraceSet:
    """The trace without its root."""
    return TraceSet.received([Trace(whole.trace_id, whole.spans[1:])], may_grow=True)


NOTHING = TraceSet((), may_grow=True)


def test_what_comes_in_time_is_waited_for() -> None:
    """And no longer than it takes."""
    source = Growing(NOTHING, torn(payment()), TraceSet.received(ONE))
    expect(source, within_s=5).to_have("charge card", count=1)
    assert source.looks == 3


def test_an_event_loop_goes_on_while_one_waits() -> None:
    """What makes the spans runs in the same loop."""
    stages = [NOTHING]

    class Source(Growing):
        def look(self) -> TraceSet:
            return stages[-1]

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.03, stages.append, TraceSet.received(ONE))
        found = await async_expect(Source(NOTHING), within_s=5).to_have("charge card")
        assert [each.name for each in found] == ["charge card"]
        with pytest.raises(AssertionError, match="expected a span: refund"):
            await async_expect(ONE).to_have("refund")

    asyncio.run(main())


def test_what_must_go_on_holding_is_looked_at_to_the_end() -> None:
    """A span that comes too much later is as wrong as one at once."""
    calm = TraceSet.received([payment(status=Status.UNSET)])
    steady = Growing(calm)
    began = time.monotonic()
    expect(steady, throughout_s=0.05).not_to_have(status="error")
    assert time.monotonic() - began >= 0.05
    late = Growing(calm, calm, TraceSet.received(ONE))
    message = told_by(lambda: expect(late, throughout_s=5).not_to_have(status="error"))
    same_as_kept("throughout", message)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("incomplete-exists", lambda source: expect(source).to_have("refund")),
        ("incomplete-absent", lambda source: expect(source).not_to_have("refund")),
        ("incomplete-traces", lambda s: expect(s).to_have("refund", traces=">= 50%")),
        ("incomplete-tree", lambda source: expect(source).to_match_tree("POST /pay\n  ...")),
    ],
)
def test_what_never_became_whole_is_incomplete(
    name: str, expected: Callable[[TraceSet], object]
) -> None:
    """A span that never came may be the very one."""
    same_as_kept(name, told_by(lambda: expected(torn(payment())), Incomplete))


def test_nothing_at_all_from_elsewhere_is_incomplete() -> None:
    """Not *absent*: it may be on its way."""
    same_as_kept(
        "incomplete-nothing", told_by(lambda: expect(NOTHING).not_to_have("x"), Incomplete)
    )


def test_what_no_span_more_can_change_is_known_of_a_torn_trace() -> None:
    """One that is there is there; one too many is too many."""
    found = torn(payment())
    expect(found).to_have("charge card")
    with pytest.raises(AssertionError):
        expect(found).not_to_have("charge card")
    # A child that still comes could be an error, and so this would be the deepest no longer.
    with pytest.raises(Incomplete):
        expect(found).to_have(deepest_error=True)


def test_a_share_of_traces_is_known_where_the_torn_ones_cannot_tip_it() -> None:
    """Nineteen of twenty show it; whatever the last one was, it is 95 %."""
    calm = [payment(n, status=Status.UNSET) for n in range(1, 20)]
    last = Trace("f" * 32, payment(99).spans[1:])
    found = TraceSet.received([*calm, last])
    expect(found).to_have(span("charge card", status="unset"), traces=">= 95%")
    with pytest.raises(Incomplete):
        expect(found).to_have(span("charge card", status="unset"), traces="== 100%")


def test_who_waits_in_a_thread_sees_what_another_makes() -> None:
    """The source is looked at anew each time."""
    stages = [NOTHING]

    class Source(Growing):
        def look(self) -> TraceSet:
            return stages[-1]

    timer = threading.Timer(0.05, stages.append, (TraceSet.received(ONE),))
    timer.start()
    expect(Source(NOTHING), within_s=5).to_have("charge card")
    timer.join()
