"""Each convention is kept by what keeps it, and its breach is told with the span in its tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from lab.domain.trace import Event, Status, Trace
from lab.errors import UsageError
from lab.testing import Incomplete, TraceSet, assert_semantic, expect
from lab.testing.recording import RecordedSpans
from lab.testing.semantic import RULES, problems
from tests.support.recorded_cases import RECORDINGS, recorded
from tests.support.traces import internal, server, trace
from tests.unit.testing.messages import same_as_kept, told_by


def request(**changes: object) -> Sequence[Trace]:
    """A healthy trace of two spans, the second with ``changes``."""
    healthy = trace(
        "1" * 32, server("pay", "POST /pay/{id}", 0, 9, internal("pay", "charge", 1, 5))
    )
    root, child = healthy.spans
    return [Trace(healthy.trace_id, (root, replace(child, **changes)))]  # type: ignore[arg-type]


ID = "b1eee84e-0f0f-4111-8111-0123456789ab"
BREACHES: Mapping[str, Sequence[Trace]] = {
    "uuid": request(name=f"charge {ID}"),
    "number": request(name="GET /orders/17"),
    "digits": request(name="charge 4711171"),
    "hash": request(name="load 0123456789abcdef"),
    "query": request(name="GET /orders?customer=bob"),
    "untyped-error": request(status=Status.ERROR),
    "typed-no-error": request(attributes={"error.type": "Timeout"}),
    "address": request(attributes={"url.full": "http://shop/?who=bob@example.com"}),
    "card": request(status_message="no 4242 4242 4242 4242", status=Status.OK),
    "event": request(events=(Event("exception", 1, {"exception.message": "bob@example.com"}),)),
    "orphan": request(parent_id="f" * 16),
    "two-roots": request(parent_id=None),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_told(name: str) -> None:
    """What was found, where, and the whole convention; of personal data only its beginning."""
    message = told_by(lambda: assert_semantic(BREACHES[name]))
    same_as_kept(f"semantic-{name}", message)
    if name in {"address", "card", "event"}:
        assert "example.com" not in message
        assert "4242 4242" not in message


def test_no_span_at_all_follows_no_convention() -> None:
    """A test that looks at nothing is not green."""
    same_as_kept("semantic-nothing", told_by(lambda: assert_semantic([])))
    with pytest.raises(Incomplete):
        assert_semantic(TraceSet((), may_grow=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.ERROR, "attributes": {"error.type": "500"}},
        {"status": Status.ERROR, "events": (Event("exception", 1, {"exception.type": "E"}),)},
        {"name": "GET /v2/products/{product_id}"},
        {"name": "SELECT"},
        {"name": "face the facade"},
    ],
)
def test_what_keeps_the_conventions_is_left_alone(changes: dict[str, object]) -> None:
    """The attribute and the exception are two ways to say which error it was."""
    assert_semantic(request(**changes))


def test_a_rule_may_be_ignored_by_its_name_alone() -> None:
    """And a misspelt one is refused, for it would be asked after all."""
    expect(BREACHES["uuid"]).to_be_semantic(ignore=["name"])
    with pytest.raises(UsageError, match="did you mean personal-data"):
        assert_semantic(BREACHES["uuid"], ignore=["personal-dat"])


def test_a_caller_in_another_process_is_no_lost_parent() -> None:
    """A test that sends ``traceparent`` is one; a span that is still open is no loss either."""
    from opentelemetry import trace as otel
    from opentelemetry.sdk.trace import TracerProvider

    with RecordedSpans(TracerProvider()) as spans:
        remote = otel.SpanContext(1, 2, is_remote=True, trace_flags=otel.TraceFlags(1))
        context = otel.set_span_in_context(otel.NonRecordingSpan(remote))
        with spans.tracer().start_as_current_span("GET /", context=context):
            spans.tracer().start_span("inner").end()
            with pytest.raises(Incomplete):
                assert_semantic(spans)
        assert_semantic(spans)


@pytest.mark.parametrize("name", sorted(RECORDINGS)[:6])
def test_the_labs_own_shop_follows_them(name: str) -> None:
    """In its healthy window and in the crime: they are this shop's conventions."""
    traces = tuple(recorded(name).evidence.traces.values())
    found = TraceSet.received(traces)
    assert {(each.rule, each.span.name, each.found) for each in problems(found)} == set()
    assert len(found) > 100


def test_every_rule_has_a_breach_above() -> None:
    """A rule that nothing breaks would be one that cannot reject."""
    broken = {
        each.rule for traces in BREACHES.values() for each in problems(TraceSet.received(traces))
    }
    assert broken == set(RULES)
