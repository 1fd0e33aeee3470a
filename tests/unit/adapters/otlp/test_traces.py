"""OTLP/JSON: both spellings in, the specification's out, and nothing hostile gets through."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.adapters.bounds import (
    MOST_ATTRIBUTES,
    MOST_ELEMENTS,
    MOST_EVENTS,
    MOST_GROUPS_OF_A_TRACE,
    MOST_LINKS,
)
from lab.adapters.otlp.fields import DEEPEST_VALUE, MalformedOtlpError, parse
from lab.adapters.otlp.traces import (
    DEEPEST_TRACE,
    MOST_SPANS,
    assemble,
    read_traces,
    write_traces,
)
from lab.domain.trace import AttributeValue, Event, Kind, Link, Span, Status, Trace

TRACE_ID = "0" * 30 + "ab"
ROOT_ID = "00f067aa0ba902b7"


def span_json(**changes: Any) -> dict[str, Any]:
    span = {
        "traceId": TRACE_ID,
        "spanId": ROOT_ID,
        "name": "GET /",
        "kind": 2,
        "startTimeUnixNano": "1000",
        "endTimeUnixNano": "2000",
    }
    return {key: value for key, value in (span | changes).items() if value is not ...}


def document(*spans: Any, resource: Any = None) -> dict[str, Any]:
    if resource is None:
        name = {"key": "service.name", "value": {"stringValue": "auth"}}
        resource = {"attributes": [name]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}


def only(doc: Any) -> Span:
    (trace,) = read_traces(doc).values()
    (span,) = trace
    return span


# --- round trip --------------------------------------------------------------------------

hex_ids = {
    n: st.binary(min_size=n, max_size=n).filter(any).map(lambda raw: raw.hex()) for n in (8, 16)
}
int64 = st.integers(-(2**63), 2**63 - 1)
scalars = st.text() | st.booleans() | int64 | st.floats(allow_nan=False)
values: st.SearchStrategy[AttributeValue] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6
)
attributes = st.dictionaries(st.text(min_size=1), values, max_size=4)
times = st.integers(0, 2**63)
events = st.builds(Event, name=st.text(), time_ns=times, attributes=attributes)
links = st.builds(Link, trace_id=hex_ids[16], span_id=hex_ids[8], attributes=attributes)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    trace_id = draw(hex_ids[16])
    ids = draw(st.lists(hex_ids[8], min_size=1, max_size=6, unique=True))
    spans = []
    for n, span_id in enumerate(ids):
        service = draw(st.sampled_from(["gateway", "auth", ""]))
        spans.append(
            Span(
                trace_id=trace_id,
                span_id=span_id,
                parent_id=draw(st.none() | st.sampled_from(ids[:n])) if n else None,
                name=draw(st.text()),
                kind=draw(st.sampled_from(Kind)),
                service=service,
                start_ns=draw(times),
                end_ns=draw(times),
                status=draw(st.sampled_from(Status)),
                status_message=draw(st.text()),
                attributes=draw(attributes),
                events=tuple(draw(st.lists(events, max_size=2))),
                links=tuple(draw(st.lists(links, max_size=2))),
                resource=draw(attributes) | {"service.name": service},
            )
        )
    return assemble(trace_id, spans)


@given(st.lists(traces(), max_size=3, unique_by=lambda trace: trace.trace_id))
def test_what_is_written_is_read_back_the_same(written: list[Trace]) -> None:
    """Every span survives the way through JSON text, whatever it carries."""
    text = json.dumps(write_traces(written))
    assert read_traces(parse(text)) == {trace.trace_id: trace for trace in written}


def test_written_documents_follow_the_specification() -> None:
    """Ids are hex, enumerations numbers, 64-bit numbers strings, keys lowerCamelCase."""
    span = only(document(span_json(parentSpanId="00f067aa0ba902b8", status={"code": 2})))
    (written,) = write_traces([assemble(TRACE_ID, [span])])["resourceSpans"][0]["scopeSpans"][0][
        "spans"
    ]
    assert written["traceId"] == TRACE_ID
    assert written["parentSpanId"] == "00f067aa0ba902b8"
    assert written["kind"] == 2
    assert written["startTimeUnixNano"] == "1000"
    assert written["status"] == {"code": 2}


# --- both spellings ----------------------------------------------------------------------


def test_base64_ids_as_tempo_answers_them_are_read() -> None:
    """A base64 id means the same bytes as a hex one, with padding or without."""
    padded = base64.b64encode(bytes.fromhex(ROOT_ID)).decode()
    for spelling in (padded, padded.rstrip("="), ROOT_ID.upper(), ROOT_ID):
        assert only(document(span_json(spanId=spelling))).span_id == ROOT_ID
    packed = base64.b64encode(bytes.fromhex(TRACE_ID)).decode()
    assert only(document(span_json(traceId=packed))).trace_id == TRACE_ID


@pytest.mark.parametrize("absent", [..., "", None, "AAAAAAAAAAA=", "0" * 16])
def test_an_empty_parent_is_no_parent(absent: Any) -> None:
    """A parent that is absent, empty or all zero makes the span a root."""
    assert only(document(span_json(parentSpanId=absent))).parent_id is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (3, Kind.CLIENT),
        ("SPAN_KIND_CLIENT", Kind.CLIENT),
        (5, Kind.CONSUMER),
        (0, Kind.INTERNAL),
        ("SPAN_KIND_UNSPECIFIED", Kind.INTERNAL),
        (..., Kind.INTERNAL),
    ],
)
def test_kinds_are_read_by_number_and_by_name(kind: Any, expected: Kind) -> None:
    """Tempo names enumerations, the Collector numbers them."""
    assert only(document(span_json(kind=kind))).kind is expected


@pytest.mark.parametrize("code", [2, "STATUS_CODE_ERROR"])
def test_statuses_are_read_by_number_and_by_name(code: Any) -> None:
    """A status keeps its code and its message."""
    span = only(document(span_json(status={"code": code, "message": "Card declined"})))
    assert (span.status, span.status_message) == (Status.ERROR, "Card declined")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"intValue": "7"}, 7),
        ({"intValue": 7}, 7),
        ({"intValue": 200.0}, 200),
        ({"stringValue": 5}, "5"),
        ({"string_value": "a"}, "a"),
        ({"kvlist_value": {"values": [{"key": "a_b", "value": {"int_value": 1}}]}}, '{"a_b": 1}'),
        ({"doubleValue": 1.5}, 1.5),
        ({"doubleValue": "Infinity"}, float("inf")),
        ({"boolValue": False}, False),
        ({"bytesValue": "AAE="}, "AAE="),
        ({"arrayValue": {"values": [{"stringValue": "a"}]}}, ("a",)),
        ({"arrayValue": {}}, ()),
        (
            {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "1"}}]}},
            '{"a": 1}',
        ),
        ({}, ""),
        (None, ""),
    ],
)
def test_attribute_values_are_read(value: Any, expected: AttributeValue) -> None:
    """Each of OTLP's values has its Python value; a map is kept as its JSON text."""
    span = only(document(span_json(attributes=[{"key": "k", "value": value}])))
    assert span.attributes == {"k": expected}


def test_missing_fields_take_protobufs_defaults() -> None:
    """Only ids are needed; everything else has a default, and unknown fields are ignored."""
    span = only(document({"traceId": TRACE_ID, "spanId": ROOT_ID, "flags": 3}, resource={}))
    assert (span.name, span.service, span.start_ns, span.kind) == ("", "", 0, Kind.INTERNAL)


@pytest.mark.parametrize(
    "nothing", [{}, {"trace": {}}, {"trace": None}, {"resourceSpans": []}, {"batches": []}]
)
def test_an_answer_without_spans_is_no_trace(nothing: Any) -> None:
    """Tempo answers 200 with an empty trace for one it does not know."""
    assert read_traces(nothing) == {}


# --- hostile input -----------------------------------------------------------------------

WHERE = "resourceSpans[0].scopeSpans[0].spans[0]"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"traceId": ...}, f"{WHERE}.traceId: expected an id of 16 bytes"),
        ({"traceId": "0" * 32}, "not all zero"),
        ({"traceId": "zz" * 16}, f"{WHERE}.traceId: expected 16 bytes"),
        ({"spanId": "abc"}, f"{WHERE}.spanId: expected 16 hex digits, found 3"),
        ({"spanId": "x!"}, f"{WHERE}.spanId: expected 8 bytes as 16 hex digits or base64"),
        ({"spanId": 7}, f"{WHERE}.spanId: expected text, found 7"),
        ({"kind": 9}, f"{WHERE}.kind: expected one of SPAN_KIND_UNSPECIFIED"),
        ({"kind": "SPAN_KIND_ACTOR"}, "found 'SPAN_KIND_ACTOR'"),
        ({"kind": True}, f"{WHERE}.kind"),
        ({"startTimeUnixNano": "soon"}, f"{WHERE}.startTimeUnixNano: expected a 64-bit number"),
        ({"endTimeUnixNano": "-5"}, "expected nanoseconds since 1970, found -5"),
        ({"endTimeUnixNano": str(2**70)}, "expected a 64-bit number"),
        ({"endTimeUnixNano": "9" * 10_000}, "expected a 64-bit number"),
        ({"attributes": {"k": "v"}}, f"{WHERE}.attributes: expected an array"),
        ({"attributes": [3]}, f"{WHERE}.attributes[0]: expected an object, found 3"),
        (
            {"attributes": [{"key": "k", "value": {"intValue": "many"}}]},
            f"{WHERE}.attributes[0].value.intValue",
        ),
        (
            {"attributes": [{"key": "k", "value": {"doubleValue": "fast"}}]},
            "expected a number, found 'fast'",
        ),
        (
            {"attributes": [{"key": "k", "value": {"dateValue": "today"}}]},
            "expected an OTLP value",
        ),
        ({"events": [{"timeUnixNano": []}]}, f"{WHERE}.events[0]"),
        ({"links": [{"traceId": "ab"}]}, f"{WHERE}.links[0].traceId: expected 32 hex digits"),
        ({"status": 2}, f"{WHERE}.status: expected an object"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_path(
    changes: dict[str, Any], complaint: str
) -> None:
    """The message names the field, what was expected and what was found."""
    with pytest.raises(MalformedOtlpError) as refusal:
        read_traces(document(span_json(**changes)))
    assert complaint in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("text", ["", "{", '{"trace": {"resourceSpans": [', b"\xff\xfe", "nul"])
def test_truncated_json_is_refused(text: Any) -> None:
    """A connection cut in the middle of an answer is an error with a name."""
    with pytest.raises(MalformedOtlpError, match="expected JSON"):
        parse(text)


def test_json_nested_without_end_is_refused() -> None:
    """Neither the JSON reader nor the attribute reader can be driven out of its stack."""
    value = '{"arrayValue":{"values":[' * 20_000 + "{}" + "]}}" * 20_000
    text = json.dumps(document(span_json(attributes=[{"key": "k", "value": 0}])))
    with pytest.raises(MalformedOtlpError, match="nested"):
        read_traces(parse(text.replace('"value": 0', f'"value": {value}')))
    nested: dict[str, Any] = {}
    for _ in range(20_000):
        nested = {"arrayValue": {"values": [nested]}}
    with pytest.raises(MalformedOtlpError, match="nested"):
        read_traces(document(span_json(attributes=[{"key": "k", "value": nested}])))


@pytest.mark.parametrize("top", [[], 3, "x", None, {"resourceSpans": {}}, {"trace": [1]}])
def test_another_document_is_refused(top: Any) -> None:
    """JSON that is no traces document is an error, not an empty trace."""
    with pytest.raises(MalformedOtlpError):
        read_traces(top)


FIELDS = ["resourceSpans", "trace", "scopeSpans", "spans", "traceId", "attributes"]
any_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.text() | int64,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS), inner),
)


@given(any_json)
def test_any_json_is_read_or_refused(top: Any) -> None:
    """No shape of JSON ends in anything but traces or the one error."""
    with contextlib.suppress(MalformedOtlpError):
        read_traces(top)


def test_duplicates_of_a_span_keep_the_first() -> None:
    """A span delivered twice counts once."""
    span = only(document(span_json(), span_json(name="again")))
    assert span.name == "GET /"


def test_a_cycle_of_parents_makes_its_spans_parentless() -> None:
    """Spans that are each other's parents are roots; what hangs below keeps its parent."""
    a, b, c, d = (f"{n:016x}" for n in (1, 2, 3, 4))
    doc = document(
        span_json(spanId=a, parentSpanId=b),
        span_json(spanId=b, parentSpanId=a),
        span_json(spanId=c, parentSpanId=a),
        span_json(spanId=d, parentSpanId=d),
    )
    (trace,) = read_traces(doc).values()
    assert {span.span_id for span in trace.roots} == {a, b, d}
    assert trace.children(trace.by_id[a]) == (trace.by_id[c],)
    assert not trace.is_whole


def chain(spans: int, depth: int) -> Any:
    """So many spans, in chains of ``depth`` below one root."""
    parents = ["", *(f"{n - 1 if n % depth else 0:016x}" for n in range(1, spans))]
    parents = [parent and f"{int(parent, 16) + 1:016x}" for parent in parents]
    return document(
        *(span_json(spanId=f"{n + 1:016x}", parentSpanId=parents[n]) for n in range(spans))
    )


def test_as_many_spans_as_are_taken_are_read_in_seconds() -> None:
    """Size and depth cost time in proportion and no stack."""
    began = time.perf_counter()
    (trace,) = read_traces(chain(MOST_SPANS, DEEPEST_TRACE - 1)).values()
    assert len(trace.spans) == MOST_SPANS
    assert trace.is_whole
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize(
    ("spans", "depth", "complaint"),
    [
        (MOST_SPANS + 1, 20, "expected at most 10000 spans, found 'more'"),
        (100_000, 100_000, "expected at most 10000 spans, found 'more'"),
        (DEEPEST_TRACE + 1, MOST_SPANS, "expected at most 500 spans below each other, found 501"),
    ],
)
def test_a_trace_beyond_all_measure_is_refused(spans: int, depth: int, complaint: str) -> None:
    """What would cost minutes to reason about is an error that says how much is too much."""
    with pytest.raises(MalformedOtlpError, match=complaint):
        read_traces(chain(spans, depth))


def test_maps_in_maps_cost_no_more_than_they_carry() -> None:
    """Nested maps become JSON once, not text in text whose quotes double at each level."""
    value: dict[str, Any] = {"stringValue": '"'}
    for _ in range(DEEPEST_VALUE):
        value = {"kvlistValue": {"values": [{"key": "k", "value": value}]}}
    written = only(document(span_json(attributes=[{"key": "k", "value": value}]))).attributes["k"]
    assert len(str(written)) == DEEPEST_VALUE * len('{"k": }') + len(r'"\""')


LINK = {"traceId": "ab" * 16, "spanId": "cd" * 8}
PAIR = {"key": "k", "value": {"stringValue": "v"}}


def of_value(kind: str) -> Callable[[int], Any]:
    inner = PAIR["value"] if kind == "arrayValue" else PAIR
    return lambda n: span_json(attributes=[{"key": "k", "value": {kind: {"values": [inner] * n}}}])


@pytest.mark.parametrize(
    ("span", "where", "most"),
    [
        (lambda n: span_json(attributes=[PAIR] * n), "attributes", MOST_ATTRIBUTES),
        (lambda n: span_json(events=[{}] * n), "events", MOST_EVENTS),
        (lambda n: span_json(events=[{"attributes": [PAIR] * n}]), "attributes", MOST_ATTRIBUTES),
        (lambda n: span_json(links=[LINK] * n), "links", MOST_LINKS),
        (of_value("arrayValue"), "values", MOST_ELEMENTS),
        (of_value("kvlistValue"), "values", MOST_ELEMENTS),
    ],
)
def test_every_list_of_a_span_has_a_bound(
    span: Callable[[int], Any], where: str, most: int
) -> None:
    """One more than is taken is refused, with its place and both numbers."""
    assert only(document(span(most)))
    complaint = rf"spans\[0\].*{where}: expected at most {most}, found {most + 1}"
    with pytest.raises(MalformedOtlpError, match=complaint):
        read_traces(document(span(most + 1)))


@pytest.mark.parametrize("field", ["resourceSpans", "batches", "scopeSpans"])
def test_empty_groups_without_end_are_refused(field: str) -> None:
    """They hold no span that anybody could count."""
    groups: dict[str, Any] = {field: [{}] * (MOST_GROUPS_OF_A_TRACE + 1)}
    found = {"resourceSpans": [groups]} if field == "scopeSpans" else groups
    with pytest.raises(MalformedOtlpError, match=f"{field}: expected at most 10000, found 10001"):
        read_traces(found)


@pytest.mark.parametrize("kind", ["arrayValue", "kvlistValue"])
def test_values_nested_too_deeply_are_refused(kind: str) -> None:
    """One level more than is taken is an error with the path of the value."""
    value: dict[str, Any] = {}
    for _ in range(DEEPEST_VALUE + 1):
        value = {kind: {"values": [value if kind == "arrayValue" else {"key": "", "value": value}]}}
    with pytest.raises(MalformedOtlpError, match="expected at most 16 nested arrays and maps"):
        read_traces(document(span_json(attributes=[{"key": "k", "value": value}])))


def test_half_a_character_becomes_a_question_mark() -> None:
    """JSON can escape what UTF-8 cannot say, and a case folder is UTF-8."""
    pair = {"key": "\ud800", "value": {"stringValue": "\udfff"}}
    span = only(document(span_json(name="a\ud800b", attributes=[pair])))
    assert (span.name, span.attributes) == ("a?b", {"?": "?"})
