"""Traces as the lab writes them: read in a shorter way, and never to another end."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from lab.adapters.bounds import MOST_ATTRIBUTES
from lab.adapters.cases.own_spelling import read_as_written
from lab.adapters.otlp.fields import MalformedOtlpError
from lab.adapters.otlp.traces import DEEPEST_TRACE, read_traces, write_traces
from lab.domain.trace import Event, Kind, Link, Scope, Span, Status, Trace
from tests.support.recorded_cases import recorded

SPAN: Final = Span(
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="00f067aa0ba902b7",
    parent_id="b7ad6b7169203331",
    name="UPDATE",
    kind=Kind.CLIENT,
    service="payments",
    start_ns=1_795_962_658_563_283_344,
    end_ns=1_795_962_662_575_803_121,
    status=Status.ERROR,
    status_message="timeout",
    attributes={"a": "text", "n": -7, "m": 2**63, "x": 0.5, "is": True, "who": "ü", "l": ("1", 2)},
    events=(Event("exception", 1_795_962_658_563_283_345, {"exception.type": "TimeoutError"}),),
    resource={"service.name": "payments", "service.version": "1.0.0"},
    scope=Scope("asyncpg", "0.66b1"),
    trace_state="a=b",
    flags=257,
    resource_schema_url="https://opentelemetry.io/schemas/1.30.0",
)
"""With all that the lab writes and that is read in the shorter way."""

PARENT: Final = Span(SPAN.trace_id, "b7ad6b7169203331", None, "POST /x", Kind.SERVER, "", 1, 2)

STRANGE: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, 2, 7, -1, 1.0, 2.0, 0.5, float("nan"), 2**64, 2**32),
    *("", "0", "2", " 2", "1_0", "-1", "٣", "9" * 19, "9" * 20, "9" * 5000, "x", "ü", "\ud800"),
    *("0" * 16, "0" * 32, "A" * 16, "a" * 16, "a" * 32, "APBnqgupArc=", "SPAN_KIND_CLIENT", "NaN"),
    *([], {}, [1], [[]], [{}], {"a": 1}, {"stringValue": "x", "intValue": "1"}),
    *({"stringValue": 5}, {"intValue": 5}, {"intValue": "x"}, {"boolValue": 1}),
    [{"key": "n", "value": {"intValue": "1"}}] * (MOST_ATTRIBUTES + 1),
)  # fmt: skip
"""What stands in place of each value in turn."""

FIELDS: Final = ("resource", "scope", "links", "span_id", "trace_id", "schemaUrl", "unknown", "key")


def document(*spans: Span) -> Any:
    return write_traces([Trace(SPAN.trace_id, spans or (SPAN, PARENT))])


def places(found: Any) -> Iterator[tuple[Any, Any]]:
    """Each value inside, as what holds it and by which key."""
    for key, value in list(found.items() if isinstance(found, dict) else enumerate(found)):
        yield found, key
        if isinstance(value, dict | list):
            yield from places(value)


def changed() -> Iterator[Any]:
    """The document with another value, with a field less, or with one more, at every place."""
    count = len(list(places(document())))
    for number in range(count):
        for strange in STRANGE:
            found = document()
            owner, key = list(places(found))[number]
            owner[key] = strange
            yield found
        found = document()
        owner, key = list(places(found))[number]
        del owner[key]
        yield found
        for field in FIELDS:
            found = document()
            owner, key = list(places(found))[number]
            if isinstance(owner[key], dict):
                owner[key].setdefault(field, "x")
                yield found


def test_whatever_is_changed_is_read_as_the_long_way_reads_it_or_left_to_it() -> None:
    """No value, lack or surplus of a field is read in another way, or where it is refused."""
    read = left = 0
    for each in changed():
        before = copy.deepcopy(each)
        found = read_as_written(each)
        if found:
            assert repr(found) == repr(read_traces(each)), each
        read, left = read + bool(found), left + (not found)
        assert repr(each) == repr(before)
    assert read > 500
    assert left > 2000


def test_all_that_the_lab_writes_is_read_and_nothing_but_links_is_left() -> None:
    """Kinds, statuses, events, scopes, flags and values of each type; a link needs the long way."""
    for kind in Kind:
        for status in Status:
            span = Span(SPAN.trace_id, "a" * 16, None, "GET", kind, "auth", 1, 2, status)
            assert read_as_written(document(span)) == read_traces(document(span)) != {}
    assert read_as_written(document()) == read_traces(document()) != {}
    linked = Span(
        *(SPAN.trace_id, "a" * 16, None, "GET", Kind.SERVER, "auth", 1, 2),
        links=(Link("b" * 32, "b" * 16),),
    )
    assert read_as_written(document(linked)) == {}


@pytest.mark.parametrize("name", ["db-timeout", "locked-drawer"])
def test_the_traces_of_a_case_are_read_so(name: str) -> None:
    """Else nobody would be any quicker."""
    for trace in recorded(name).evidence.traces.values():
        told = json.loads(json.dumps(write_traces([trace])))
        assert read_as_written(told) == {trace.trace_id: trace}


def test_several_traces_and_one_beyond_measure_are_left() -> None:
    """The long way tells them apart, and refuses what is too deep."""
    other = Span("b" * 32, "a" * 16, None, "GET", Kind.SERVER, "auth", 1, 2)
    assert read_as_written(document(SPAN, other)) == {}
    ids = [f"{number + 1:016x}" for number in range(DEEPEST_TRACE + 1)]
    deep = [
        Span(SPAN.trace_id, own, above, "GET", Kind.SERVER, "auth", 1, 2)
        for own, above in zip(ids, (None, *ids), strict=False)
    ]
    assert read_as_written(document(*deep)) == {}
    with pytest.raises(MalformedOtlpError):
        read_traces(document(*deep))
